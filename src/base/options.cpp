#include "base/options.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace po = boost::program_options;

namespace {

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

template <class T>
bool parse_number(const std::string& text, T& value) {
    const auto* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    return result.ec == std::errc() && result.ptr == end;
}

bool parse_bool(const std::string& text, bool& value) {
    if (text == "true" || text == "yes" || text == "on" || text == "1") return value = true, true;
    if (text == "false" || text == "no" || text == "off" || text == "0") return value = false, true;
    return false;
}

// A backslash before a comma makes it part of the word: paths may hold commas.
std::vector<std::string> parse_list(const std::string& text) {
    std::vector<std::string> list(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',') {
            list.back() += text[++i];
        } else if (text[i] == ',') {
            list.emplace_back();
        } else {
            list.back() += text[i];
        }
    }
    for (auto& word : list) word = trim(word);
    std::erase(list, "");
    return list;
}

std::string list_text(const std::vector<std::string>& list) {
    std::string text;
    for (const auto& word : list) {
        if (!text.empty()) text += ", ";
        for (const char c : word) text += c == ',' ? std::string("\\,") : std::string(1, c);
    }
    return text;
}

std::string value_text(const Options::Field& field) {
    return std::visit(
        Overloaded{[](const bool* v) { return std::string(*v ? "true" : "false"); },
                   [](const std::int64_t* v) { return fmt::format("{}", *v); },
                   [](const std::uint64_t* v) { return fmt::format("{}", *v); }, [](const double* v) { return fmt::format("{}", *v); },
                   [](const std::string* v) { return *v; }, [](const std::vector<std::string>* v) { return list_text(*v); }},
        field);
}

std::string kind_text(const Options::Field& field) {
    return std::visit(
        Overloaded{[](const bool*) { return "true or false"; }, [](const std::int64_t*) { return "a whole number"; },
                   [](const std::uint64_t*) { return "a whole number, not negative"; }, [](const double*) { return "a number"; },
                   [](const std::string*) { return "text"; }, [](const std::vector<std::string>*) { return "a list"; }},
        field);
}

std::string section_of(const std::string& name) {
    return name.substr(0, name.find('.'));
}

}  // namespace

bool Range::contains(double value) const {
    return (low_open ? value > low : value >= low) && (high_open ? value < high : value <= high);
}

std::string Range::text() const {
    const bool has_low = low > -1e300;
    const bool has_high = high < 1e300;
    if (has_low && has_high) return fmt::format("{}{}, {}{}", low_open ? "(" : "[", low, high, high_open ? ")" : "]");
    if (has_low) return fmt::format("{} {}", low_open ? ">" : ">=", low);
    if (has_high) return fmt::format("{} {}", high_open ? "<" : "<=", high);
    return "";
}

Options::Option& Options::Option::one_of(std::vector<std::string> allowed) {
    words = std::move(allowed);
    return *this;
}
Options::Option& Options::Option::path() {
    is_path = true;
    return *this;
}
Options::Option& Options::Option::used_when(std::function<bool()> condition, std::function<std::string()> reason) {
    used = std::move(condition);
    unused_reason = std::move(reason);
    return *this;
}
Options::Option& Options::Option::check(std::function<std::string()> check) {
    problem = std::move(check);
    return *this;
}

Options::Option& Options::declare(const std::string& name, Field field, std::string default_text, Range range, const std::string& help) {
    Option option;
    option.name = name;
    option.help = help;
    option.field = field;
    option.default_text = std::move(default_text);
    option.range = range;
    options_.push_back(std::move(option));
    return options_.back();
}

Options::Option& Options::add(const std::string& name, bool* field, bool value, const std::string& help) {
    *field = value;
    return declare(name, field, value ? "true" : "false", {}, help);
}
Options::Option& Options::add(const std::string& name, std::int64_t* field, std::int64_t value, Range range, const std::string& help) {
    *field = value;
    return declare(name, field, fmt::format("{}", value), range, help);
}
Options::Option& Options::add(const std::string& name, std::uint64_t* field, std::uint64_t value, Range range, const std::string& help) {
    *field = value;
    return declare(name, field, fmt::format("{}", value), range, help);
}
Options::Option& Options::add(const std::string& name, double* field, double value, Range range, const std::string& help) {
    *field = value;
    return declare(name, field, fmt::format("{}", value), range, help);
}
Options::Option& Options::add(const std::string& name, std::string* field, const std::string& value, const std::string& help) {
    *field = value;
    return declare(name, field, value, {}, help);
}
Options::Option& Options::add(const std::string& name, std::vector<std::string>* field, const std::vector<std::string>& value,
                              const std::string& help) {
    *field = value;
    return declare(name, field, list_text(value), {}, help);
}

void Options::set(const std::string& name, const std::string& raw, const std::filesystem::path& base, std::vector<std::string>& problems) {
    const auto found = std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.name == name; });
    if (found == options_.end()) {
        const std::string nearest = nearest_key(name);
        problems.push_back(nearest.empty() ? fmt::format("unknown key \"{}\"; `silosum train --help` lists the known ones", name)
                                           : fmt::format("unknown key \"{}\"; did you mean \"{}\"?", name, nearest));
        return;
    }
    Option& option = *found;
    option.was_set = true;
    const std::string text = trim(raw);
    const auto wrong_kind = [&] { problems.push_back(fmt::format("{} = \"{}\": must be {}", name, text, kind_text(option.field))); };
    const auto in_range = [&](double value) {
        if (std::isfinite(value) && option.range.contains(value)) return true;
        problems.push_back(
            fmt::format("{} = {}: must be {}", name, text, option.range.text().empty() ? "finite" : "in range " + option.range.text()));
        return false;
    };
    const auto number = [&](auto* field) {
        std::remove_pointer_t<decltype(field)> value{};
        if (!parse_number(text, value)) return wrong_kind();
        if (in_range(static_cast<double>(value))) *field = value;
    };
    const auto resolve = [&](const std::string& file) {
        const std::filesystem::path path(file);
        if (!option.is_path || file.empty() || path.is_absolute() || base.empty()) return file;
        return (base / path).lexically_normal().string();
    };
    const auto allowed = [&](const std::string& word) {
        if (option.words.empty() || std::find(option.words.begin(), option.words.end(), word) != option.words.end()) return true;
        problems.push_back(fmt::format("{}: {}", name, unknown_name("value", word, option.words)));
        return false;
    };
    std::visit(Overloaded{[&](bool* field) {
                              if (!parse_bool(text, *field)) wrong_kind();
                          },
                          [&](std::int64_t* field) { number(field); }, [&](std::uint64_t* field) { number(field); },
                          [&](double* field) { number(field); },
                          [&](std::string* field) {
                              if (allowed(text)) *field = resolve(text);
                          },
                          [&](std::vector<std::string>* field) {
                              auto list = parse_list(text);
                              for (auto& word : list) {
                                  if (!allowed(word)) return;
                                  word = resolve(word);
                              }
                              *field = std::move(list);
                          }},
               option.field);
}

// "lr" outside of a section, or in another one, is meant as "local.lr".
std::string Options::nearest_key(const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& option : options_) names.push_back(option.name);
    std::string nearest = nearest_name(name, names);
    if (!nearest.empty()) return nearest;
    const std::string key = name.substr(name.rfind('.') + 1);
    for (const auto& known : names) {
        if (known.substr(known.rfind('.') + 1) == key) nearest = nearest.empty() ? known : nearest + "\" or \"" + known;
    }
    return nearest;
}

void Options::read_ini(std::istream& stream, const std::string& source, const std::filesystem::path& base,
                       std::vector<std::string>& problems) {
    const po::options_description none;
    std::set<std::string> seen;
    try {
        for (const auto& entry : po::parse_config_file(stream, none, true).options) {
            if (!seen.insert(entry.string_key).second) {
                problems.push_back(fmt::format("{}: given more than once in {}", entry.string_key, source));
            } else {
                set(entry.string_key, entry.value.empty() ? "" : entry.value.front(), base, problems);
            }
        }
    } catch (const po::error& error) {
        problems.push_back(fmt::format("{}: {}", source, error.what()));
    }
}

// The resolved configuration is a file, too: what it cannot hold must not come in by a flag or a folder's name.
void Options::check_texts(std::vector<std::string>& problems) const {
    for (const auto& option : options_) {
        const std::string text = value_text(option.field);
        if (first_not_utf8(text) != std::string::npos)
            problems.push_back(fmt::format("{} = {}: must be UTF-8 text; rename it", option.name, text));
        if (text.find_first_of("#\n") == std::string::npos) continue;
        problems.push_back(
            fmt::format("{} = {}: must hold no # and no line break, which end a value in a configuration; rename it", option.name, text));
    }
}

// Whether a key is used can only be told from valid values.
void Options::check_use(std::vector<std::string>& problems) const {
    check_texts(problems);
    if (!problems.empty()) return;
    for (const auto& option : options_) {
        if (option.was_set && option.used && !option.used()) {
            problems.push_back(fmt::format("{} is not used with {}; remove it", option.name, option.unused_reason()));
        } else if (option.problem) {
            if (const std::string text = option.problem(); !text.empty()) {
                const std::string value = value_text(option.field);
                problems.push_back(fmt::format("{}{}: {}", option.name, value.empty() ? "" : " = " + value, text));
            }
        }
    }
}

std::vector<std::string> Options::load_text(const std::string& ini) {
    std::vector<std::string> problems;
    std::istringstream stream(ini);
    read_ini(stream, "the resolved configuration", {}, problems);
    check_use(problems);
    return problems;
}

std::vector<std::string> Options::load(const std::filesystem::path& file, const std::vector<std::string>& flags) {
    std::vector<std::string> problems;
    if (!file.empty()) {
        std::ifstream stream(file);
        const bool is_folder = std::filesystem::is_directory(file);
        require(stream.good() && !is_folder, "cannot read the configuration {}: {}", file.string(),
                is_folder ? "it is a folder" : std::strerror(errno));
        read_ini(stream, file.string(), std::filesystem::absolute(file).parent_path(), problems);
    }
    const std::set<std::string> unused_in_file = problems.empty() ? unused() : std::set<std::string>();
    std::set<std::string> seen;
    for (std::size_t i = 0; i < flags.size(); ++i) {
        const std::string& flag = flags[i];
        if (!flag.starts_with("--")) {
            problems.push_back(fmt::format("unexpected argument \"{}\"; flags look like --section.key value", flag));
            continue;
        }
        const auto equals = flag.find('=');
        const std::string name = flag.substr(2, equals == std::string::npos ? std::string::npos : equals - 2);
        std::string value;
        if (equals != std::string::npos) {
            value = flag.substr(equals + 1);
        } else if (i + 1 < flags.size() && !flags[i + 1].starts_with("--")) {
            value = flags[++i];
        } else if (is_switch(name)) {
            value = "true";
        } else {
            problems.push_back(fmt::format("--{} needs a value", name));
            continue;
        }
        if (!seen.insert(name).second) {
            problems.push_back(fmt::format("--{}: given more than once", name));
        } else {
            set(name, value, std::filesystem::current_path(), problems);
        }
    }
    // A flag wins: what the file says for the part that the flag has put in another's place no longer counts.
    for (const auto& name : problems.empty() ? unused() : std::set<std::string>()) {
        if (seen.contains(name) || unused_in_file.contains(name)) continue;
        Option& option = *std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.name == name; });
        set(name, option.default_text, {}, problems);
        option.was_set = false;
    }
    check_use(problems);
    return problems;
}

// Keys that were given but that the chosen parts do not use.
std::set<std::string> Options::unused() const {
    std::set<std::string> names;
    for (const auto& option : options_) {
        if (option.was_set && option.used && !option.used()) names.insert(option.name);
    }
    return names;
}

bool Options::is_switch(const std::string& name) const {
    return std::any_of(options_.begin(), options_.end(),
                       [&](const Option& o) { return o.name == name && std::holds_alternative<bool*>(o.field); });
}

std::string Options::as_ini() const {
    std::string text;
    std::string section;
    for (const auto& option : options_) {
        if (option.used && !option.used()) continue;
        if (section_of(option.name) != section) {
            section = section_of(option.name);
            text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
        }
        text += fmt::format("{} = {}\n", option.name.substr(section.size() + 1), value_text(option.field));
    }
    return text;
}

std::string Options::fingerprint_text(const std::vector<std::string>& without) const {
    std::string text;
    for (const auto& option : options_) {
        if (option.used && !option.used()) continue;
        const bool skipped = std::any_of(without.begin(), without.end(),
                                         [&](const std::string& name) { return option.name == name || section_of(option.name) == name; });
        if (!skipped) text += fmt::format("{}={}\n", option.name, value_text(option.field));
    }
    return text;
}

std::string Options::as_help() const {
    std::string text;
    for (const auto& option : options_) {
        std::string allowed = option.words.empty() ? option.range.text() : join(option.words, "|");
        text += fmt::format("  --{} (default: {}{}{})\n      {}\n", option.name, option.default_text.empty() ? "none" : option.default_text,
                            allowed.empty() ? "" : "; ", allowed, option.help);
    }
    return text;
}

std::string Options::as_markdown() const {
    std::string text;
    std::string section;
    for (const auto& option : options_) {
        if (section_of(option.name) != section) {
            section = section_of(option.name);
            text += fmt::format("\n## {}\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n", section);
        }
        const std::string allowed = option.words.empty()
                                        ? kind_text(option.field) + (option.range.text().empty() ? "" : ", " + option.range.text())
                                        : join(option.words, ", ");
        text += fmt::format("| `{}` | {} | {} | {} |\n", option.name, option.default_text.empty() ? "" : "`" + option.default_text + "`",
                            allowed, option.help);
    }
    return text;
}

}  // namespace silosum

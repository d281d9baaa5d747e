#include "commands/verb_options.hpp"

#include <cstdint>
#include <typeinfo>

#include "base/error.hpp"
#include "base/text.hpp"

namespace silosum {

namespace po = boost::program_options;

namespace {

std::vector<std::string> names_of(const po::options_description& options) {
    std::vector<std::string> names;
    for (const auto& option : options.options()) names.push_back("--" + option->long_name());
    return names;
}

const po::typed_value_base* typed(const po::option_description& option) {
    return dynamic_cast<const po::typed_value_base*>(option.semantic().get());
}

bool is_unsigned(const std::type_info& type) {
    return type == typeid(std::uint64_t) || type == typeid(std::uint32_t);
}

bool is_negative(const std::string& text) {
    return text.size() > 1 && text.front() == '-' && text.find_first_not_of("0123456789", 1) == std::string::npos;
}

bool is_option(const std::string& token, const po::options_description& options) {
    return token.size() > 2 && token.starts_with("--") && options.find_nothrow(token.substr(2), false) != nullptr;
}

std::vector<std::string> problems_of(const po::parsed_options& parsed, const po::options_description& options) {
    std::vector<std::string> problems;
    bool may_be_value = false;  // of an unknown option
    for (const auto& option : parsed.options) {
        const auto* value = option.unregistered || option.string_key.empty() ? nullptr : typed(options.find(option.string_key, false));
        if (value != nullptr && is_unsigned(value->value_type()) && option.value.size() == 1 && is_negative(option.value.front())) {
            // Would be read as a huge number.
            problems.push_back(fmt::format("--{} {}: must not be negative", option.string_key, option.value.front()));
            may_be_value = false;
        } else if (value != nullptr && option.original_tokens.size() == 2 && is_option(option.original_tokens.back(), options)) {
            problems.push_back(fmt::format("--{} needs a value, but {} follows", option.string_key, option.original_tokens.back()));
            may_be_value = true;  // of the one that follows
        } else if (option.unregistered) {
            const std::string& token = option.original_tokens.front();
            problems.push_back(unknown_name("option", token.substr(0, token.find('=')), names_of(options)));
            may_be_value = true;
        } else if (option.string_key.empty()) {
            if (!may_be_value) problems.push_back(fmt::format("\"{}\" stands without an option before it", option.value.front()));
            may_be_value = false;
        } else {
            may_be_value = false;
        }
    }
    return problems;
}

}  // namespace

po::variables_map read_verb_options(const std::vector<std::string>& arguments, const po::options_description& options,
                                    const std::string& positional) {
    // Guessing from beginnings of names would turn typing errors into other options.
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::positional_options_description words;
    words.add(positional.c_str(), -1);
    try {
        po::command_line_parser parser(arguments);
        parser.options(options).style(style).allow_unregistered();
        if (!positional.empty()) parser.positional(words);
        const auto parsed = parser.run();
        const auto problems = problems_of(parsed, options);
        if (!problems.empty()) throw UsageError(join(problems, "\n"));
        po::variables_map values;
        po::store(parsed, values);
        if (!values.contains("help")) po::notify(values);
        return values;
    } catch (const po::error& error) {
        throw UsageError(error.what());
    }
}

std::vector<std::string> comma_list(const std::string& text) {
    if (text.empty()) return {};
    std::vector<std::string> words;
    for (const auto& word : split(text, ',')) words.push_back(trim(word));
    return words;
}

}  // namespace silosum

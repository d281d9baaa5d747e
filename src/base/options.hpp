// Options of the program: name, field, default, range and help in one statement, in the struct of the part that uses them.
// Values come from an INI file and from --section.key flags (flags win); both are read by Boost.Program_options.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace silosum {

/// Where a number may lie. A default-made Range allows everything.
struct Range {
    double low = -1e300;
    double high = 1e300;
    bool low_open = false;
    bool high_open = false;

    [[nodiscard]] bool contains(double value) const;
    [[nodiscard]] std::string text() const;  // ">= 0", "(0, 1)", ""
};
[[nodiscard]] inline Range at_least(double low) {
    return {.low = low};
}
[[nodiscard]] inline Range above(double low) {
    return {.low = low, .low_open = true};
}
[[nodiscard]] inline Range between(double low, double high) {
    return {.low = low, .high = high};
}
[[nodiscard]] inline Range from_up_to(double low, double high) {
    return {.low = low, .high = high, .high_open = true};
}

/// Set of declared options bound to fields. Fields must outlive it.
class Options {
public:
    using Field = std::variant<bool*, std::int64_t*, std::uint64_t*, double*, std::string*, std::vector<std::string>*>;

    /// One declared option; the setters return it, so that a declaration reads as one statement.
    class Option {
    public:
        /// Only these words are allowed.
        Option& one_of(std::vector<std::string> words);
        /// A file or folder: relative to the configuration file when it is given there.
        Option& path();
        /// Counts as used only while the condition holds; setting it otherwise is an error. `reason` ends the
        /// sentence "key is not used with ...", for example "local.optimizer = sgd".
        Option& used_when(std::function<bool()> condition, std::function<std::string()> reason);
        /// A further check once all values are in: returns "" or what is wrong ("must ...").
        Option& check(std::function<std::string()> problem);

    private:
        friend class Options;
        std::string name;
        std::string help;
        Field field;
        std::string default_text;
        Range range;
        std::vector<std::string> words;
        bool is_path = false;
        bool was_set = false;
        std::function<bool()> used;
        std::function<std::string()> unused_reason;
        std::function<std::string()> problem;
    };

    /// Declares `section.key`, sets the field to its default. Returned reference is valid until the next add.
    Option& add(const std::string& name, bool* field, bool value, const std::string& help);
    Option& add(const std::string& name, std::int64_t* field, std::int64_t value, Range range, const std::string& help);
    Option& add(const std::string& name, std::uint64_t* field, std::uint64_t value, Range range, const std::string& help);
    Option& add(const std::string& name, double* field, double value, Range range, const std::string& help);
    Option& add(const std::string& name, std::string* field, const std::string& value, const std::string& help);
    Option& add(const std::string& name, std::vector<std::string>* field, const std::vector<std::string>& value, const std::string& help);

    /// Reads the file ("" for none), then flags "--section.key value", "--section.key=value" or, for true, "--section.key". Returns every
    /// problem found:
    /// unknown names with the nearest valid one, duplicates, values of the wrong kind or out of range, keys that are not used.
    /// Throws UsageError only when the file cannot be read at all.
    [[nodiscard]] std::vector<std::string> load(const std::filesystem::path& file, const std::vector<std::string>& flags);

    /// The same for the text of a resolved configuration, as `as_ini` wrote it on another rank.
    [[nodiscard]] std::vector<std::string> load_text(const std::string& ini);

    /// All options that are in use with their values, as an INI file that `load` reads back.
    [[nodiscard]] std::string as_ini() const;
    /// "section.key=value" of the options in use, one a line, but for the named sections and keys.
    [[nodiscard]] std::string fingerprint_text(const std::vector<std::string>& without) const;
    /// For --help: one paragraph an option.
    [[nodiscard]] std::string as_help() const;
    /// For docs/options.md: one table a section.
    [[nodiscard]] std::string as_markdown() const;

private:
    Option& declare(const std::string& name, Field field, std::string default_text, Range range, const std::string& help);
    void set(const std::string& name, const std::string& value, const std::filesystem::path& base, std::vector<std::string>& problems);
    void read_ini(std::istream& stream, const std::string& source, const std::filesystem::path& base, std::vector<std::string>& problems);
    void check_use(std::vector<std::string>& problems) const;
    [[nodiscard]] std::set<std::string> unused() const;
    void check_texts(std::vector<std::string>& problems) const;
    [[nodiscard]] bool is_switch(const std::string& name) const;
    [[nodiscard]] std::string nearest_key(const std::string& name) const;

    std::vector<Option> options_;
};

}  // namespace silosum

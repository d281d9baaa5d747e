// Command lines of verbs that need no configuration file: declared and read with Boost.Program_options, errors as in the rest of the
// program.
#pragma once

#include <string>
#include <vector>

#include <boost/program_options.hpp>

namespace silosum {

/// Reads the arguments after the verb. UsageError names every unknown option with the nearest known one, or what is wrong with a value.
/// Words without an option go to `positional` when it is not empty and are errors otherwise. Required options are checked unless --help is
/// there.
[[nodiscard]] boost::program_options::variables_map read_verb_options(const std::vector<std::string>& arguments,
                                                                      const boost::program_options::options_description& options,
                                                                      const std::string& positional = "");

/// "a,b,c" as a list; "" is empty.
[[nodiscard]] std::vector<std::string> comma_list(const std::string& text);

}  // namespace silosum

// Tables as data sets: numeric columns as they are, categorical ones one-hot with categories agreed over all files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/source.hpp"

namespace silosum {

/// What to do with a row that misses values. `mean` fills them later, silo by silo (data/impute.hpp).
enum class MissingPolicy { error, drop, mean };

struct CsvSettings {
    std::vector<std::filesystem::path> files;
    char separator = ',';
    std::vector<std::string> columns;  // names of the columns of files without a header line
    std::string label;
    std::string task;      // "", classification, binary, regression; "" is classification for a label that is not numeric
    std::string positive;  // binary: the label that is 1; "" for the last in order
    std::vector<std::string> ignore, categorical, numeric;
    std::vector<std::string> missing_values{"NA", "N/A", "NaN", "nan", "NULL", "null", "?"};  // and the empty field
    MissingPolicy missing = MissingPolicy::error;
    bool drop_first = false;
    std::string silo_column;
    bool file_is_silo = false;  // the file's name without its ending is the silo
    std::string set_column;     // train, validation or test
};

/// Reads the tables into one data set. `notes` gets a line for every decision: kinds of columns, classes, missing values.
[[nodiscard]] Source import_csv(const CsvSettings& settings, std::vector<std::string>& notes);

}  // namespace silosum

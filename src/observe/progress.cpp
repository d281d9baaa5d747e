#include "observe/progress.hpp"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>

namespace silosum {

namespace {

// "  test accuracy 0.9710 loss 0.0972": what was measured, the common test first where there is one.
std::string evaluation_text(const nlohmann::ordered_json& record) {
    std::string text;
    for (const char* split : {"common_test", "test", "validation"}) {
        if (!record.contains(split) || !text.empty()) continue;
        const auto& overall = split == std::string("common_test") ? record[split] : record[split]["overall"];
        text += fmt::format("  {}", split == std::string("common_test") ? "common test" : split);
        for (const char* metric : {"accuracy", "auc", "rmse", "loss"}) {
            if (overall.contains(metric) && overall[metric].is_number())
                text += fmt::format(" {} {:.4f}", metric, overall[metric].get<double>());
        }
    }
    return text;
}

}  // namespace

std::string duration_text(double seconds) {
    const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
    if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
    if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
    return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

Progress::Progress(ProgressStyle style, std::uint64_t first_round) : style_(style), started_(wall_seconds()), first_round_(first_round) {}

void Progress::after_round(RoundReport& report) {
    if (style_ == ProgressStyle::none) return;
    const std::string measured = evaluation_text(report.record);
    if (!measured.empty()) last_evaluation_ = measured;
    const double elapsed = wall_seconds() - started_;
    const auto done = static_cast<double>(report.round.number - first_round_ + 1);
    const double left = elapsed / done * static_cast<double>(report.round.total - report.round.number);
    const std::string left_text = report.is_final() ? "" : fmt::format("  {} left", duration_text(left));
    const auto train_loss = report.record.find("train_loss");
    const std::string loss =
        train_loss != report.record.end() && train_loss->is_number() ? fmt::format("  train loss {:.4f}", train_loss->get<double>()) : "";
    if (style_ == ProgressStyle::live) {
        fmt::print("\r\033[Kround {}/{}{}{}{}{}", report.round.number, report.round.total, loss, last_evaluation_, left_text,
                   report.is_final() ? "\n" : "");
    } else if (!measured.empty() || report.is_final()) {
        fmt::print("round {}/{}{}{}{}\n", report.round.number, report.round.total, loss, measured, left_text);
    }
    std::fflush(stdout);
}

}  // namespace silosum

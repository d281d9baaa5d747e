#include "observe/html.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace silosum::html {

namespace {

// Colours of series by Okabe and Ito (2008), told apart by colour-blind people too; brighter ones on dark ground.
constexpr const char* style = R"(
:root { --ground: #fff; --text: #1b1f24; --faint: #59636e; --rule: #d5dbe1; --raised: #f5f7f9; --mark: #fff3cd;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b85c94; --c4: #b27700; --c5: #3d9bd1; --c6: #6b6b6b; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --text: #e6eaee; --faint: #9aa5b1; --rule: #39424c; --raised: #1d232a;
  --mark: #4a3f14; --c0: #4aa8e0; --c1: #ff8a3d; --c2: #2fc79a; --c3: #e08fc0; --c4: #e6b13c; --c5: #8ccdf5; --c6: #b0b0b0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 2rem 3rem; max-width: 84rem; background: var(--ground); color: var(--text);
  font: 0.94rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 0.3rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 0.7rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--rule); }
p { max-width: 60rem; margin: 0.4rem 0; }
p.faint, figcaption small, footer { color: var(--faint); font-size: 0.86rem; }
p.warning { background: var(--mark); border-left: 4px solid var(--c4); padding: 0.4rem 0.8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; white-space: nowrap; color: var(--faint); font-size: 0.86rem; padding-bottom: 0.3rem; }
th, td { text-align: left; vertical-align: top; padding: 0.22rem 1.4rem 0.22rem 0; border-bottom: 1px solid var(--rule);
  overflow-wrap: break-word; unicode-bidi: isolate; }
th { font-weight: 600; } thead th { color: var(--faint); vertical-align: bottom; } tbody th { white-space: nowrap; font-weight: 500; }
.number { text-align: right; white-space: nowrap; } .hash { font-family: ui-monospace, monospace; font-size: 0.85em; }
td.hash { overflow-wrap: anywhere; min-width: 8rem; } td.differs { background: var(--mark); }
.dense { font-size: 0.84rem; } .dense th, .dense td { padding-right: 0.7rem; } .dense td:last-child { min-width: 12rem; }
details { margin: 0.6rem 0; } summary { cursor: pointer; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 1.6rem 2.2rem; }
figure { margin: 0; min-width: 0; break-inside: avoid; } figcaption { font-weight: 600; margin-bottom: 0.2rem; }
figcaption small { display: block; font-weight: 400; }
svg.chart { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg.hidden { position: absolute; width: 0; height: 0; }
svg text { fill: var(--faint); } .grid { stroke: var(--rule); } .frame { stroke: var(--faint); }
.line { fill: none; stroke: var(--c); stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.thin { stroke-width: 1.1; } .dot { fill: var(--c); }
.hollow { fill: var(--ground); stroke: var(--c); stroke-width: 1.5; } .band { fill: var(--c); opacity: 0.15; }
.layer { fill: var(--c); stroke: var(--ground); stroke-width: 0.5; }
.s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); } .s3 { --c: var(--c3); } .s4 { --c: var(--c4); }
.s5 { --c: var(--c5); } .s6 { --c: var(--c6); }
.d1 { stroke-dasharray: 9 5; } .d2 { stroke-dasharray: 2 4; } .d3 { stroke-dasharray: 11 4 2 4; }
ul.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 0.1rem 1.1rem; margin: 0.2rem 0 0; padding: 0; font-size: 0.86rem; }
ul.legend svg { width: 30px; height: 12px; margin-right: 0.4rem; vertical-align: -1px; }
@media print {
  @page { margin: 14mm; }
  :root { --ground: #fff; --text: #000; --faint: #444; --rule: #ccc; --raised: #fff; --mark: #f3ecd2; color-scheme: light;
    --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b85c94; --c4: #b27700; --c5: #3d9bd1; --c6: #6b6b6b; }
  html { font-size: 9.5pt; } body { padding: 0; max-width: none; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .charts { grid-template-columns: 1fr 1fr; gap: 5mm; } svg.chart { font-size: 13px; } h2 { break-after: avoid; } tr { break-inside: avoid; }
  .wide { overflow: visible; } .dense { font-size: 6.4pt; } .dense th, .dense td { padding-right: 0.35rem; }
  .dense td:last-child { min-width: 7rem; }
}
)";

// No attribute or tag can be begun with what is left.
std::string_view entity(char c) {
    switch (c) {
        case '&':
            return "&amp;";
        case '<':
            return "&lt;";
        case '>':
            return "&gt;";
        case '"':
            return "&quot;";
        case '\'':
            return "&#39;";
        default:
            return "";
    }
}

bool is_forbidden(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n') || byte == 0x7F;
}

}  // namespace

std::string escape(std::string_view text) {
    constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
    std::string safe;
    while (true) {
        const std::size_t bad = first_not_utf8(text);
        for (const char c : text.substr(0, bad)) {
            if (const auto name = entity(c); !name.empty()) {
                safe += name;
            } else if (is_forbidden(c)) {
                safe += replacement;
            } else {
                safe += c;
            }
        }
        if (bad == std::string_view::npos) return safe;
        safe += replacement;
        text.remove_prefix(bad + 1);
    }
}

std::string table(const Table& table) {
    const auto open = [](std::string_view tag, const std::string& kind, std::string_view more = "") {
        return fmt::format("<{}{}{}>", tag, more, kind.empty() ? "" : fmt::format(" class=\"{}\"", escape(kind)));
    };
    // A column is aligned as its first row is.
    const auto alignment = [&](std::size_t column) {
        const bool is_number = !table.rows.empty() && column < table.rows.front().size() &&
                               table.rows.front()[column].kind.find("number") != std::string::npos;
        return std::string(is_number ? "number" : "");
    };
    std::string text = "<div class=\"wide\">" + open("table", table.is_dense ? "dense" : "");
    if (!table.caption.empty()) text += "<caption>" + escape(table.caption) + "</caption>";
    if (!table.columns.empty()) text += "<thead><tr>";
    for (std::size_t column = 0; column < table.columns.size(); ++column)
        text += open("th", alignment(column), " scope=\"col\"") + escape(table.columns[column]) + "</th>";
    text += table.columns.empty() ? "<tbody>\n" : "</tr></thead>\n<tbody>\n";
    for (const auto& row : table.rows) {
        text += "<tr>";
        for (std::size_t column = 0; column < row.size(); ++column) {
            const bool is_heading = column == 0;
            text += open(is_heading ? "th" : "td", row[column].kind, is_heading ? " scope=\"row\"" : "") + escape(row[column].text) +
                    (is_heading ? "</th>" : "</td>");
        }
        text += "</tr>\n";
    }
    return text + "</tbody></table></div>\n";
}

std::string paragraph(std::string_view text, std::string_view kind) {
    return fmt::format("<p{}>{}</p>\n", kind.empty() ? "" : fmt::format(" class=\"{}\"", escape(kind)), escape(text));
}

std::string folded(std::string_view title, std::string_view body) {
    return fmt::format("<details><summary>{}</summary>\n{}</details>\n", escape(title), body);
}

std::string page(std::string_view format, std::string_view title, std::string_view body) {
    // The policy forbids scripts and everything from elsewhere, whatever the body may hold. The empty icon keeps browsers from asking a
    // server for one.
    return fmt::format(
        "<!DOCTYPE html>\n<!-- {} -->\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<link rel=\"icon\" href=\"data:,\">\n"
        "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
        escape(format), escape(title), style, body);
}

}  // namespace silosum::html

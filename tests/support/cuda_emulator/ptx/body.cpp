// The body of a PTX function: names become slots, labels become numbers of instructions.
#include <algorithm>
#include <array>

#include "../checker.hpp"
#include "control.hpp"
#include "decoder.hpp"
#include "parser.hpp"

namespace emulator::ptx {
namespace {

struct SpecialName {
    std::string_view name;
    Special special;
};
constexpr SpecialName special_names[] = {
    {"%tid.x", Special::tid_x},
    {"%tid.y", Special::tid_y},
    {"%tid.z", Special::tid_z},
    {"%ntid.x", Special::ntid_x},
    {"%ntid.y", Special::ntid_y},
    {"%ntid.z", Special::ntid_z},
    {"%ctaid.x", Special::ctaid_x},
    {"%ctaid.y", Special::ctaid_y},
    {"%ctaid.z", Special::ctaid_z},
    {"%nctaid.x", Special::nctaid_x},
    {"%nctaid.y", Special::nctaid_y},
    {"%nctaid.z", Special::nctaid_z},
    {"%laneid", Special::lane},
    {"%warpid", Special::warp},
    {"%lanemask_eq", Special::lane_mask_eq},
    {"%lanemask_lt", Special::lane_mask_lt},
    {"%lanemask_le", Special::lane_mask_le},
    {"%lanemask_gt", Special::lane_mask_gt},
    {"%lanemask_ge", Special::lane_mask_ge},
    {"%dynamic_smem_size", Special::dynamic_shared_bytes},
};

class BodyParser {
public:
    BodyParser(TokenStream& stream, Module& module, const Symbols& module_symbols, Symbols formal_parameters, Function& function)
        : stream_(stream), module_(module), module_symbols_(module_symbols), function_(function) {
        scopes_.push_back(std::move(formal_parameters));
        scratch_ = new_slot();
    }

    void parse() {
        scopes_.emplace_back();
        while (scopes_.size() > 1) statement();
        for (const Jump& jump : jumps_) {
            const auto label = labels_.find(jump.label);
            if (label == labels_.end()) unsupported(stream_.file(), jump.line, "no label " + std::string(jump.label));
            *jump.target(function_) = label->second;
        }
        // A function may end without ret.
        Instruction& last = function_.code.emplace_back();
        last.run = control::end_function;
        if (function_.places.empty()) function_.places.push_back({module_.file.c_str(), 0});
    }

private:
    // A place that waits for a label's number: an instruction's target, or a row of a branch table.
    struct Jump {
        std::string_view label;
        int line;
        std::size_t instruction;
        std::size_t table = 0, row = 0;
        bool in_table = false;
        [[nodiscard]] std::uint32_t* target(Function& function) const {
            return in_table ? &function.branch_tables[table][row] : &function.code[instruction].extra;
        }
    };

    void statement() {
        const std::string_view word = stream_.peek();
        if (stream_.take("{")) {
            scopes_.emplace_back();
        } else if (stream_.take("}")) {
            scopes_.pop_back();
        } else if (stream_.take(";")) {
            return;
        } else if (stream_.peek(1) == ":") {
            add_label(stream_.next());
        } else if (word == ".loc") {
            stream_.next();
            set_place(stream_.rest_of_line());
        } else if (word == ".pragma") {
            while (stream_.next() != ";") continue;
        } else if (word.starts_with('.')) {
            declaration(stream_.next());
        } else {
            instruction();
        }
    }

    void add_label(std::string_view name) {
        stream_.expect(":");
        if (!stream_.take(".branchtargets")) {
            labels_[name] = static_cast<std::uint32_t>(function_.code.size());
            return;
        }
        auto& table = function_.branch_tables.emplace_back();
        do {
            jumps_.push_back({stream_.next(), stream_.line(), 0, function_.branch_tables.size() - 1, table.size(), true});
            table.push_back(0);
        } while (stream_.take(","));
        stream_.expect(";");
        tables_[name] = static_cast<std::uint32_t>(function_.branch_tables.size() - 1);
    }

    // .loc 1 12 3, function_name ..., inlined_at 1 50 7: the line of the code itself, but for headers of the toolkit that of their caller.
    void set_place(const std::vector<std::string_view>& words) {
        auto file = static_cast<unsigned>(number_of(words.at(0)));
        auto line = static_cast<int>(number_of(words.at(1)));
        const auto caller = std::find(words.begin(), words.end(), "inlined_at");
        if (caller != words.end() && module_.sources[file].find("/targets/") != std::string::npos) {
            file = static_cast<unsigned>(number_of(caller[1]));
            line = static_cast<int>(number_of(caller[2]));
        }
        has_place_ = true;
        function_.places.push_back({module_.sources[file].c_str(), line});
    }

    void declaration(std::string_view space) {
        do {
            const Declaration variable = parse_declaration(stream_);
            const std::string name(variable.name);
            if (space == ".reg") {
                if (variable.registers == 0) define(name, {Symbol::Kind::slot, new_slot()});
                for (std::uint32_t n = 0; n < variable.registers; ++n) define(name + std::to_string(n), {Symbol::Kind::slot, new_slot()});
            } else if (space == ".param") {
                define(name, {Symbol::Kind::parameter, place_after(function_.parameter_bytes, variable.alignment, variable.bytes),
                              variable.bytes});
            } else if (space == ".local") {
                define(name, {Symbol::Kind::local, place_after(function_.local_bytes, variable.alignment, variable.bytes)});
            } else if (space == ".shared") {
                const bool own = function_.is_kernel;
                const std::uint32_t offset =
                    place_after(own ? function_.shared_bytes : module_.shared_bytes, variable.alignment, variable.bytes);
                (own ? function_.shared : module_.shared).push_back({offset, variable.bytes, name});
                define(name, {own ? Symbol::Kind::kernel_shared : Symbol::Kind::module_shared, offset});
            } else {
                stream_.refuse("a declaration in " + std::string(space));
            }
        } while (stream_.take(","));
        stream_.expect(";");
    }

    void define(const std::string& name, Symbol symbol) { scopes_.back()[name] = symbol; }

    [[nodiscard]] const Symbol* find(std::string_view name) const {
        for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
            if (const auto found = scope->find(name); found != scope->end()) return &found->second;
        }
        const auto found = module_symbols_.find(name);
        return found == module_symbols_.end() ? nullptr : &found->second;
    }

    Slot new_slot() {
        if (function_.slots >= no_slot) stream_.refuse("too many registers");
        return static_cast<Slot>(function_.slots++);
    }

    Slot constant(std::uint64_t value) {
        const auto [found, is_new] = constants_.try_emplace(value, Slot{0});
        if (is_new) {
            found->second = new_slot();
            function_.constants.push_back({found->second, value});
        }
        return found->second;
    }

    Slot special(Special which, std::uint64_t offset) {
        const auto [found, is_new] = specials_.try_emplace({which, offset}, Slot{0});
        if (is_new) {
            found->second = new_slot();
            function_.specials.push_back({found->second, which, offset});
        }
        return found->second;
    }

    // Nothing, if the name means nothing here: it may be a label's or a function's.
    std::optional<Slot> slot_of(std::string_view name) {
        if (name == "_") return scratch_;
        if (name == "WARP_SZ") return constant(32);
        if (const Symbol* symbol = find(name)) {
            switch (symbol->kind) {
                case Symbol::Kind::slot:
                    return static_cast<Slot>(symbol->value);
                case Symbol::Kind::parameter:
                    return special(Special::parameters, symbol->value);
                case Symbol::Kind::local:
                    return special(Special::local, symbol->value);
                case Symbol::Kind::kernel_shared:
                    return special(Special::kernel_shared, symbol->value);
                case Symbol::Kind::dynamic_shared:
                    return special(Special::dynamic_shared, 0);
                default:
                    return constant(symbol->value);
            }
        }
        const auto* known = std::find_if(std::begin(special_names), std::end(special_names), [=](const auto& s) { return s.name == name; });
        if (known != std::end(special_names)) return special(known->special, 0);
        if (name.starts_with('%')) stream_.refuse("register " + std::string(name));
        return std::nullopt;
    }

    std::optional<Slot> slot_operand(Operand& operand) {
        if (stream_.take("!")) {
            Instruction complement;
            complement.slots = {new_slot(), *slot_of(stream_.next())};
            complement.run = control::complement;
            function_.code.push_back(complement);
            return complement.slots[0];
        }
        const bool negative = stream_.take("-");
        const std::string_view word = stream_.next();
        if (!is_number(word)) return slot_of(operand.name = word);
        const std::uint64_t value = negative ? 0 - number_of(word) : number_of(word);
        operand.offset = static_cast<std::int64_t>(value);
        return constant(value);
    }

    Operand parse_operand() {
        Operand operand;
        if (stream_.take("[")) {
            operand.kind = Operand::Kind::address;
            const auto base = slot_operand(operand);
            if (!base.has_value()) stream_.refuse("address of " + std::string(operand.name));
            operand.slots.push_back(*base);
            operand.offset = 0;
            if (stream_.take("+")) {
                const bool negative = stream_.take("-");
                const auto offset = static_cast<std::int64_t>(stream_.number());
                operand.offset = negative ? -offset : offset;
            }
            stream_.expect("]");
            return operand;
        }
        const bool braces = stream_.take("{");
        do {
            const auto slot = slot_operand(operand);
            if (slot.has_value()) {
                operand.slots.push_back(*slot);
            } else {
                operand.kind = Operand::Kind::name;
            }
        } while (stream_.take(braces ? "," : "|"));
        if (braces) stream_.expect("}");
        return operand;
    }

    void instruction() {
        Instruction out;
        if (stream_.take("@")) {
            out.guard_negated = stream_.take("!");
            out.guard = *slot_of(stream_.next());
        }
        const int line = stream_.line();
        std::string_view text = stream_.next();
        std::vector<std::string_view> words;
        for (std::size_t dot; (dot = text.find('.')) != std::string_view::npos; text.remove_prefix(dot + 1))
            words.push_back(text.substr(0, dot));
        words.push_back(text);
        if (!has_place_) function_.places.push_back({module_.file.c_str(), line});
        out.place = static_cast<std::uint32_t>(function_.places.size() - 1);
        out.site = checker::site_of(function_.places.back());
        if (words.front() == "call") {
            call(out);
            return;
        }
        Decoder decoder{words.front(), {words.begin() + 1, words.end()}, {}, out, stream_.file(), line, scratch_};
        while (!stream_.take(";")) {
            decoder.operands.push_back(parse_operand());
            stream_.take(",");
        }
        if (!control_flow(decoder)) decode(decoder);
        function_.code.push_back(out);
    }

    // Branches and the end, which need labels.
    bool control_flow(Decoder& d) {
        d.take("uni");
        if (d.opcode == "bra") {
            jumps_.push_back({d.operands.at(0).name, d.line, function_.code.size()});
            d.out.run = control::branch;
        } else if (d.opcode == "brx") {
            d.out.slots[0] = d.operands.at(0).slots.at(0);
            const auto table = tables_.find(d.operands.at(1).name);
            if (table == tables_.end()) d.refuse("branch targets that come later");
            d.out.extra = table->second;
            d.out.run = control::branch_by_table;
        } else if (d.opcode == "ret") {
            d.out.run = control::end_function;
        } else if (d.opcode == "exit") {
            d.out.run = control::exit;
        } else {
            return false;
        }
        return true;
    }

    std::vector<Parameter> parameters_of_call() {
        std::vector<Parameter> list;
        if (!stream_.take("(")) return list;
        while (!stream_.take(")")) {
            const Symbol* symbol = find(stream_.next());
            if (symbol == nullptr || symbol->kind != Symbol::Kind::parameter) stream_.refuse("an argument that is no .param");
            list.push_back({static_cast<std::uint32_t>(symbol->value), symbol->bytes});
            stream_.take(",");
        }
        return list;
    }

    // call (results), function, (arguments);
    void call(Instruction& out) {
        Call call{};
        if (stream_.peek() == "(") {
            call.results = parameters_of_call();
            stream_.expect(",");
        }
        const auto found = module_.functions.find(stream_.next());
        if (found == module_.functions.end()) stream_.refuse("a call of a function that is not named here");
        call.function = found->second.get();
        if (stream_.take(",")) call.arguments = parameters_of_call();
        if (!stream_.take(";")) stream_.refuse("a call by a pointer");
        out.extra = static_cast<std::uint32_t>(function_.calls.size());
        function_.calls.push_back(std::move(call));
        out.run = control::call;
        function_.code.push_back(out);
    }

    TokenStream& stream_;
    Module& module_;
    const Symbols& module_symbols_;
    Function& function_;
    std::vector<Symbols> scopes_;
    std::map<std::uint64_t, Slot> constants_;
    std::map<std::pair<Special, std::uint64_t>, Slot> specials_;
    std::map<std::string_view, std::uint32_t> labels_, tables_;
    std::vector<Jump> jumps_;
    Slot scratch_ = 0;
    bool has_place_ = false;
};

}  // namespace

void parse_body(TokenStream& stream, Module& module, const Symbols& module_symbols, Symbols formal_parameters, Function& function) {
    BodyParser(stream, module, module_symbols, std::move(formal_parameters), function).parse();
}

}  // namespace emulator::ptx

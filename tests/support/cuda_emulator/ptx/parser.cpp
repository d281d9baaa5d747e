// What stands outside function bodies.
#include "parser.hpp"

#include <algorithm>
#include <cstring>

#include "constants.hpp"

namespace emulator::ptx {
namespace {

class ModuleParser {
public:
    ModuleParser(Module& module, TokenStream& stream) : module_(module), stream_(stream) {}

    void parse() {
        while (!stream_.at_end()) {
            const std::string_view word = stream_.next();
            if (word == ".version" || word == ".target" || word == ".address_size" || word == ".file") {
                stream_.rest_of_line();
            } else if (word == ".section") {
                skip_section();
            } else if (word == ".entry" || word == ".func") {
                parse_function(word == ".entry");
            } else if (word == ".const" || word == ".global") {
                add_data();
            } else if (word == ".shared") {
                add_shared();
            } else if (word == ".pragma") {
                while (stream_.next() != ";") continue;
            } else if (word != ".visible" && word != ".weak" && word != ".extern" && word != ".common" && word != ";") {
                stream_.refuse("\"" + std::string(word) + "\" outside a function");
            }
        }
    }

private:
    void skip_section() {
        while (stream_.next() != "{") continue;
        while (stream_.next() != "}") continue;
    }

    void add_data() {
        const Declaration variable = parse_declaration(stream_);
        char* address = add_constant(variable.bytes, variable.alignment);
        for (std::size_t n = 0; n < variable.values.size(); ++n) {
            std::memcpy(address + n * size_of(variable.type), &variable.values[n], size_of(variable.type));
        }
        module_.constants[std::string(variable.name)] = {address, variable.bytes};
        symbols_[std::string(variable.name)] = {Symbol::Kind::data, reinterpret_cast<std::uintptr_t>(address)};
    }

    void add_shared() {
        const Declaration variable = parse_declaration(stream_);
        const std::string name(variable.name);
        if (variable.bytes == 0) {
            symbols_[name] = {Symbol::Kind::dynamic_shared, 0};
            return;
        }
        const std::uint32_t offset = place_after(module_.shared_bytes, variable.alignment, variable.bytes);
        module_.shared.push_back({offset, variable.bytes, name});
        symbols_[name] = {Symbol::Kind::module_shared, offset};
    }

    // (.param .b32 a, .param .b64 b)
    void parse_parameters(Function& function, std::vector<Parameter>& list, Symbols& names) {
        list.clear();
        if (!stream_.take("(")) return;
        while (!stream_.take(")")) {
            stream_.expect(".param");
            const Declaration parameter = parse_declaration(stream_);
            const std::uint32_t offset = place_after(function.parameter_bytes, parameter.alignment, parameter.bytes);
            list.push_back({offset, parameter.bytes});
            names[std::string(parameter.name)] = {Symbol::Kind::parameter, offset, parameter.bytes};
            stream_.take(",");
        }
    }

    void parse_function(bool is_kernel) {
        Function header;
        Symbols parameters;
        if (stream_.peek() == "(") parse_parameters(header, header.results, parameters);
        const std::string name(stream_.next());
        auto& function = module_.functions[name];
        if (function == nullptr) function = std::make_unique<Function>();
        parse_parameters(header, header.parameters, parameters);
        parse_limits(header);
        if (stream_.take(";")) return;  // a declaration
        stream_.expect("{");
        header.name = name;
        header.module = &module_;
        header.is_kernel = is_kernel;
        header.is_defined = true;
        header.formal_bytes = header.parameter_bytes;
        *function = std::move(header);
        parse_body(stream_, module_, symbols_, std::move(parameters), *function);
    }

    void parse_limits(Function& function) {
        while (stream_.peek().starts_with('.')) {
            const std::string_view word = stream_.next();
            if (word == ".maxntid" || word == ".reqntid") {
                function.most_threads = 1;
                do {
                    function.most_threads *= static_cast<std::uint32_t>(stream_.number());
                } while (stream_.take(","));
            } else if (word == ".minnctapersm" || word == ".maxnctapersm" || word == ".maxnreg") {
                stream_.number();
            } else if (word != ".noreturn" && word != ".pragma" && word != ".alias") {
                stream_.refuse("a function with " + std::string(word));
            }
        }
    }

    Module& module_;
    TokenStream& stream_;
    Symbols symbols_;
};

// .file 1 "kernel.cu": they stand at the end of the text, but instructions refer to them.
void find_sources(Module& module, const std::vector<Token>& tokens) {
    for (std::size_t n = 0; n + 2 < tokens.size(); ++n) {
        if (tokens[n].text != ".file") continue;
        const std::string_view quoted = tokens[n + 2].text;
        module.sources[static_cast<unsigned>(number_of(tokens[n + 1].text))] = quoted.substr(1, quoted.size() - 2);
    }
}

}  // namespace

std::unique_ptr<Module> parse_module(const std::string& file, std::string_view text) {
    auto module = std::make_unique<Module>();
    module->file = file;
    auto tokens = tokens_of(text);
    find_sources(*module, tokens);
    TokenStream stream(file, std::move(tokens));
    ModuleParser(*module, stream).parse();
    return module;
}

std::uint32_t place_after(std::uint32_t& top, std::uint32_t alignment, std::uint32_t bytes) {
    const std::uint32_t offset = (top + alignment - 1) / alignment * alignment;
    top = offset + bytes;
    return offset;
}

}  // namespace emulator::ptx

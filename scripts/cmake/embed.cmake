# cmake -DIN=file -DOUT=file.cc -DSYMBOL=name -P embed.cmake: a text file as a C++ string_view.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "#include <string_view>
namespace sloth::embedded {
namespace { constexpr unsigned char kBytes[] = {${bytes}0}; }
extern const std::string_view ${SYMBOL};
const std::string_view ${SYMBOL}(reinterpret_cast<const char*>(kBytes), sizeof(kBytes) - 1);
}  // namespace sloth::embedded
")

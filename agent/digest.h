// SHA-256 of bytes, as what names content: a file or a bundle travels once and is known by its digest.
//
// Thread-safe: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace sloth {

// 64 hexadecimal digits.
std::string sha256(std::string_view bytes);

// True for 64 lower-case hexadecimal digits: what sha256() gives, so safe as a file name.
bool is_digest(std::string_view text);

}  // namespace sloth

// Paths as text: joined, taken apart, made normal.
//
// Thread-safe: pure functions, except the two that ask the system. Paths are byte strings.
#pragma once

#include <string>
#include <string_view>

namespace sloth {

// An absolute `path` wins; normalised.
std::string join_path(std::string_view base, std::string_view path);

// What stands before the last name: "a" of "a/b" and "a/b/", "." of "a", "/" of "/a" and "/".
std::string directory_of(std::string_view path);

// The last name: "b" of "a/b" and "a/b/"; "/" of "/"; "" of "".
std::string name_of(std::string_view path);

// No ., .., doubled or trailing slashes; "." when nothing is left. Leading .. of a relative path stay,
// those of an absolute one go. Textual: where a is a link, a/.. may be another place than ".".
std::string normal_path(std::string_view path);

// "." when the current directory was removed.
std::string current_directory();

// $HOME, else this user's entry in /etc/passwd, else "/".
std::string home_directory();

}  // namespace sloth

// What a script passes to http.get and its kin, as an HttpRequest.
//
// Strand-confined: call only on its strand.
#pragma once

#include <lua.hpp>
#include <string>

#include "modules/http_message.h"

namespace sloth {

// Fills `request` from the options table at `index` (absent: nothing) and from the VM's Host: paths start at
// its workdir, proxies and SSL_CERT_FILE come from its environment. Wrong use raises and names the option; an
// unknown option raises with the nearest name.
void read_http_options(lua_State* L, int index, HttpRequest& request);

// Raises "bad argument #1 to 'http.get' (...)" with the user's position: luaL_argerror would name the wrapper
// of waiting natives.
[[noreturn]] void raise_argument(lua_State* L, int arg, const std::string& call, const std::string& why);

}  // namespace sloth

local natives = ...

-- The methods of responses. Reachable by name, so that a response which a task captures can travel to it.
local Response = natives.response_type()
Response.__index = Response
Response.json = natives.response_json

natives.Response = Response
natives.response_type, natives.response_json = nil, nil
return natives

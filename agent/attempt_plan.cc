#include "agent/attempt_plan.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace sloth {
namespace {

using Json = nlohmann::json;

}  // namespace

std::string encode_plan(const AttemptPlan& plan, std::string_view request) {
  Json json;
  json["id"] = plan.id;
  json["workspace"] = plan.workspace;
  json["user"] = plan.account.name;
  json["uid"] = plan.account.uid;
  json["gid"] = plan.account.gid;
  json["home"] = plan.account.home;
  json["memory"] = plan.limits.memory;
  json["cpu_ns"] = plan.limits.cpu.count();
  json["processes"] = plan.limits.processes;
  json["files"] = plan.limits.files;
  json["output"] = plan.limits.output;
  json["wall_ns"] = plan.limits.wall.count();
  json["timeout_ns"] = plan.timeout.value_or(Duration()).count();
  std::string bytes = json.dump(-1, ' ', true, Json::error_handler_t::replace);
  bytes += '\n';
  bytes += request;
  return bytes;
}

Result<DecodedPlan> decode_plan(std::string_view bytes) {
  const std::size_t end = bytes.find('\n');
  if (end == std::string_view::npos) return Error{Code::kInvalid, "no plan of an attempt"};
  DecodedPlan decoded;
  AttemptPlan& plan = decoded.plan;
  try {
    const Json json = Json::parse(bytes.substr(0, end));
    plan.id = json.at("id").get<std::string>();
    plan.workspace = json.at("workspace").get<std::string>();
    plan.account = {json.at("user").get<std::string>(), json.at("uid").get<uid_t>(),
                    json.at("gid").get<gid_t>(), json.at("home").get<std::string>()};
    plan.limits.memory = json.at("memory").get<std::uint64_t>();
    plan.limits.cpu = Duration(json.at("cpu_ns").get<std::int64_t>());
    plan.limits.processes = json.at("processes").get<std::uint64_t>();
    plan.limits.files = json.at("files").get<std::uint64_t>();
    plan.limits.output = json.at("output").get<std::uint64_t>();
    plan.limits.wall = Duration(json.at("wall_ns").get<std::int64_t>());
    const Duration timeout(json.at("timeout_ns").get<std::int64_t>());
    if (timeout > Duration::zero()) plan.timeout = timeout;
  } catch (const Json::exception& error) {
    return Error{Code::kInvalid, std::string("no plan of an attempt: ") + error.what()};
  }
  decoded.request = bytes.substr(end + 1);
  return decoded;
}

}  // namespace sloth

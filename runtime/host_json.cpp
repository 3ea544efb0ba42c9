#include "runtime/host_json.hpp"

#include <boost/json.hpp>

namespace custos::runtime {

namespace bj = boost::json;

bj::object json_of(const host_status& s) {
  bj::object o{{"host", s.host},
               {"state", s.state},
               {"image", bj::object{{"name", s.image}, {"version", s.image_version}}},
               {"token_expires", s.token_expires},
               {"last_attested", s.last_attested},
               {"next_attempt", s.next_attempt},
               {"services_revision", s.services_revision},
               {"services_fingerprint", s.services_fingerprint},
               {"error", s.error},
               {"check", s.check},
               {"retryable", s.retryable},
               {"ak_name", s.ak_name}};
  if (s.pcr)
    o["pcr"] = *s.pcr;
  if (s.event)
    o["event"] = *s.event;
  if (s.boot)
    o["boot"] =
        bj::object{{"reset_count", s.boot->reset_count}, {"restart_count", s.boot->restart_count}};
  return o;
}

bj::object json_of(const rewrap_status& s) {
  bj::array problems;
  for (const auto& p : s.problems)
    problems.push_back(bj::object{{"file", p.file}, {"message", p.message}});
  return {{"files", s.files},
          {"pending", s.pending},
          {"failed", s.failed},
          {"rewrapped", s.rewrapped},
          {"last_check", s.last_check},
          {"last_rewrap", s.last_rewrap},
          {"next_check", s.next_check},
          {"problems", std::move(problems)},
          {"error", s.error}};
}

} // namespace custos::runtime

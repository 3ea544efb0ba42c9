#include "adapters/json/json.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace custos::json {

namespace {

void write(const boost::json::value& v, std::string& out) {
  if (const auto* const o = v.if_object()) {
    std::vector<const boost::json::key_value_pair*> members;
    members.reserve(o->size());
    for (const auto& member : *o)
      members.push_back(&member);
    std::sort(members.begin(), members.end(),
              [](const auto* a, const auto* b) { return a->key() < b->key(); });
    char separator = '{';
    for (const auto* const member : members) {
      out += separator;
      separator = ',';
      out += boost::json::serialize(member->key());
      out += ':';
      write(member->value(), out);
    }
    out += members.empty() ? "{}" : "}";
  } else if (const auto* const a = v.if_array()) {
    char separator = '[';
    for (const auto& item : *a) {
      out += separator;
      separator = ',';
      write(item, out);
    }
    out += a->empty() ? "[]" : "]";
  } else {
    out += boost::json::serialize(v);
  }
}

} // namespace

std::string canonical(const boost::json::value& v) {
  std::string out;
  write(v, out);
  return out;
}

} // namespace custos::json

#include "actors/gateway/router.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace custos::gateway {

namespace {

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> result;
  while (!path.empty()) {
    if (path.front() == '/')
      path.remove_prefix(1);
    const auto end = path.find('/');
    result.push_back(path.substr(0, end));
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end);
  }
  return result;
}

bool is_name(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool matches(std::string_view pattern, const std::vector<std::string_view>& path,
             path_values& values) {
  const auto wanted = segments_of(pattern);
  if (wanted.size() != path.size())
    return false;
  values.clear();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (is_name(wanted[i])) {
      if (path[i].empty())
        return false;
      values.emplace(wanted[i].substr(1, wanted[i].size() - 2), path[i]);
    } else if (wanted[i] != path[i]) {
      return false;
    }
  }
  return true;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (auto& c : result)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  return result;
}

boost::json::object operation_of(const route& r) {
  boost::json::object operation;
  operation["summary"] = r.summary;
  operation["x-custos-access"] = to_string(r.who);
  boost::json::array parameters;
  for (const auto segment : segments_of(r.pattern))
    if (is_name(segment))
      parameters.push_back(
          boost::json::object{{"name", segment.substr(1, segment.size() - 2)},
                              {"in", "path"},
                              {"required", true},
                              {"schema", boost::json::object{{"type", "string"}}}});
  if (!parameters.empty())
    operation["parameters"] = std::move(parameters);
  boost::json::object problem{
      {"description", "A problem document (RFC 9457)"},
      {"content", boost::json::object{{"application/problem+json", boost::json::object{}}}}};
  operation["responses"] = boost::json::object{
      {"200", boost::json::object{{"description", "Done"}}}, {"default", std::move(problem)}};
  return operation;
}

} // namespace

std::string_view to_string(access a) {
  switch (a) {
  case access::open:
    return "open";
  case access::auditor:
    return "auditor";
  case access::administrator:
    return "administrator";
  }
  return "administrator";
}

void router::add(route r) {
  routes_.push_back(std::move(r));
}

router::match router::find(std::string_view method, std::string_view path) const {
  const auto segments = segments_of(path);
  match result;
  path_values values;
  const auto allow = [&result](std::string_view m) {
    if (std::find(result.allowed.begin(), result.allowed.end(), m) == result.allowed.end())
      result.allowed.emplace_back(m);
  };
  for (const auto& r : routes_) {
    if (!matches(r.pattern, segments, values))
      continue;
    if (r.method == method || (method == "HEAD" && r.method == "GET")) {
      result.found = &r;
      result.path = std::move(values);
      return result;
    }
    allow(r.method);
    if (r.method == "GET")
      allow("HEAD");
  }
  return result;
}

std::string router::openapi(std::string_view title) const {
  boost::json::object paths;
  for (const auto& r : routes_) {
    auto& entry = paths[r.pattern];
    if (!entry.is_object())
      entry.emplace_object();
    entry.as_object()[lower(r.method)] = operation_of(r);
  }
  boost::json::object document;
  document["openapi"] = "3.1.0";
  document["info"] = boost::json::object{{"title", title}, {"version", CUSTOS_VERSION}};
  document["paths"] = std::move(paths);
  return boost::json::serialize(document);
}

} // namespace custos::gateway

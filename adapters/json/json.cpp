#include "adapters/json/json.hpp"

#include "adapters/crypto/crypto.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <set>
#include <simdjson.h>

namespace custos::json {

namespace dom = simdjson::dom;

namespace {

/// What one parsed document needs to live: the parser owns the tape that elements point into.
struct document {
  dom::parser parser;
  simdjson::padded_string text;
  bool secret = false; ///< a getter took a secret from it: no copy may stay behind

  document() = default;
  document(const document&) = delete;
  document& operator=(const document&) = delete;
  ~document() {
    if (!secret)
      return;
    crypto::wipe(text.data(), text.size());
    // Unescaped strings, one behind the other; they never take more room than the text and a
    // length and an end mark for each.
    if (parser.doc.string_buf != nullptr)
      crypto::wipe(parser.doc.string_buf.get(), strings_bytes());
  }

private:
  /// What simdjson allocates for strings (dom::document::allocate).
  std::size_t strings_bytes() const {
    return SIMDJSON_ROUNDUP_N(5 * parser.doc.capacity() / 3 + simdjson::SIMDJSON_PADDING, 64);
  }
};

std::string escaped(std::string_view name) { // RFC 6901, 3
  std::string out;
  for (const char c : name) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

error expected(const std::string& path, const std::string& what) {
  return field_error(errc::invalid_argument, path, "expected " + what);
}

std::string up_to(std::size_t n, std::string_view unit) {
  return "at most " + std::to_string(n) + " " + std::string(unit);
}

/// The pointer of a member whose name occurs twice, at any depth. Pointers are put together only
/// when there is one: this runs over every document.
std::optional<std::string> duplicate_in(const dom::element& e) {
  dom::array items;
  if (e.get(items) == simdjson::SUCCESS) {
    std::size_t i = 0;
    for (const auto item : items) {
      if (const auto found = duplicate_in(item))
        return "/" + std::to_string(i) + *found;
      ++i;
    }
    return std::nullopt;
  }
  dom::object members;
  if (e.get(members) != simdjson::SUCCESS)
    return std::nullopt;
  std::vector<std::string_view> names;
  names.reserve(members.size());
  for (const auto member : members) {
    names.push_back(member.key);
    if (const auto found = duplicate_in(member.value))
      return "/" + escaped(member.key) + *found;
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    return "/" + escaped(*twice);
  return std::nullopt;
}

/// Parses and judges size, depth and duplicates; the root may be of any type.
result<dom::element> parse_into(document& target, std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max)
    return make_error(errc::too_large, "expected a JSON document of " + up_to(bytes_max, "bytes"));
  target.text = simdjson::padded_string(text);
  if (target.parser.allocate(std::max<std::size_t>(text.size(), 64), depth_max) !=
      simdjson::SUCCESS)
    return make_error(errc::internal, "no memory for the JSON parser");
  dom::element root;
  if (const auto failed = target.parser.parse(target.text).get(root); failed != simdjson::SUCCESS)
    return make_error(errc::malformed,
                      std::string("expected JSON: ") + simdjson::error_message(failed));
  if (const auto twice = duplicate_in(root))
    return field_error(errc::malformed, *twice, "expected each member name once");
  return root;
}

} // namespace

struct object::state {
  std::shared_ptr<document> owner;
  dom::object element;
  std::string path;
  std::set<std::string, std::less<>> asked;

  std::string path_of(std::string_view name) const { return path + "/" + escaped(name); }

  /// The member, or nothing; null counts as absent.
  std::optional<dom::element> find(std::string_view name) {
    asked.emplace(name);
    dom::element found;
    if (element.at_key(name).get(found) != simdjson::SUCCESS || found.is_null())
      return std::nullopt;
    return found;
  }
};

struct value::state {
  std::shared_ptr<document> owner;
  dom::element element;
  std::string path;
};

namespace {

result<std::string> string_of(const dom::element& e, const std::string& path,
                              std::size_t bytes_max) {
  std::string_view text;
  if (e.get(text) != simdjson::SUCCESS)
    return expected(path, "a string");
  if (text.size() > bytes_max)
    return expected(path, "a string of " + up_to(bytes_max, "bytes"));
  return std::string(text);
}

result<std::int64_t> integer_of(const dom::element& e, const std::string& path, std::int64_t min,
                                std::int64_t max) {
  std::int64_t number = 0;
  if (e.get(number) != simdjson::SUCCESS || number < min || number > max)
    return expected(path, "an integer from " + std::to_string(min) + " to " + std::to_string(max));
  return number;
}

result<bytes> base64url_of(const dom::element& e, const std::string& path, std::size_t bytes_max) {
  std::string_view text;
  if (e.get(text) != simdjson::SUCCESS)
    return expected(path, "a base64url string");
  if (text.size() > bytes_max / 3 * 4 + 4)
    return field_error(errc::too_large, path, "expected base64url of " + up_to(bytes_max, "bytes"));
  auto decoded = crypto::from_base64url(text);
  if (!decoded)
    return field_error(errc::invalid_argument, path, decoded.failure().message);
  if (decoded->size() > bytes_max)
    return field_error(errc::too_large, path, "expected base64url of " + up_to(bytes_max, "bytes"));
  return decoded;
}

result<object> object_of(const std::shared_ptr<document>& owner, const dom::element& e,
                         const std::string& path) {
  dom::object members;
  if (e.get(members) != simdjson::SUCCESS)
    return expected(path, "an object");
  return object(std::make_shared<object::state>(object::state{owner, members, path, {}}));
}

} // namespace

const std::string& object::path() const {
  return state_->path;
}

std::string object::text() const {
  return simdjson::minify(state_->element);
}

bool object::has(std::string_view name) const {
  dom::element found;
  return state_->element.at_key(name).get(found) == simdjson::SUCCESS && !found.is_null();
}

std::vector<std::string> object::names() const {
  std::vector<std::string> out;
  for (const auto member : state_->element)
    out.emplace_back(member.key);
  return out;
}

result<std::optional<std::string>> object::optional_string(std::string_view name,
                                                           std::size_t bytes_max) {
  const auto found = state_->find(name);
  if (!found)
    return std::optional<std::string>{};
  CUSTOS_TRY(auto text, string_of(*found, state_->path_of(name), bytes_max));
  return std::optional<std::string>{std::move(text)};
}

result<std::string> object::string(std::string_view name, std::size_t bytes_max) {
  const auto found = state_->find(name);
  if (!found)
    return expected(state_->path_of(name), "a string; it is missing");
  return string_of(*found, state_->path_of(name), bytes_max);
}

result<crypto::secret_bytes> object::secret_string(std::string_view name, std::size_t bytes_max) {
  const auto found = state_->find(name);
  state_->owner->secret = true;
  std::string_view text;
  if (!found || found->get(text) != simdjson::SUCCESS || text.size() > bytes_max)
    return expected(state_->path_of(name), "a string of " + up_to(bytes_max, "bytes"));
  return crypto::secret_bytes(as_bytes(text));
}

result<std::optional<std::int64_t>> object::optional_integer(std::string_view name,
                                                             std::int64_t min, std::int64_t max) {
  const auto found = state_->find(name);
  if (!found)
    return std::optional<std::int64_t>{};
  CUSTOS_TRY(const auto number, integer_of(*found, state_->path_of(name), min, max));
  return std::optional<std::int64_t>{number};
}

result<std::int64_t> object::integer(std::string_view name, std::int64_t min, std::int64_t max) {
  const auto found = state_->find(name);
  if (!found)
    return expected(state_->path_of(name), "an integer from " + std::to_string(min) + " to " +
                                               std::to_string(max) + "; it is missing");
  return integer_of(*found, state_->path_of(name), min, max);
}

result<std::optional<bool>> object::optional_boolean(std::string_view name) {
  const auto found = state_->find(name);
  if (!found)
    return std::optional<bool>{};
  bool flag = false;
  if (found->get(flag) != simdjson::SUCCESS)
    return expected(state_->path_of(name), "true or false");
  return std::optional<bool>{flag};
}

result<bool> object::boolean(std::string_view name) {
  CUSTOS_TRY(const auto flag, optional_boolean(name));
  if (!flag)
    return expected(state_->path_of(name), "true or false; it is missing");
  return *flag;
}

result<std::optional<bytes>> object::optional_base64url(std::string_view name,
                                                        std::size_t bytes_max) {
  const auto found = state_->find(name);
  if (!found)
    return std::optional<bytes>{};
  CUSTOS_TRY(auto decoded, base64url_of(*found, state_->path_of(name), bytes_max));
  return std::optional<bytes>{std::move(decoded)};
}

result<bytes> object::base64url(std::string_view name, std::size_t bytes_max) {
  const auto found = state_->find(name);
  if (!found)
    return expected(state_->path_of(name), "a base64url string; it is missing");
  return base64url_of(*found, state_->path_of(name), bytes_max);
}

result<bytes> object::hex(std::string_view name, std::size_t bytes_max) {
  CUSTOS_TRY(const auto text, string(name, bytes_max * 2));
  auto decoded = crypto::from_hex(text);
  if (!decoded)
    return field_error(errc::invalid_argument, state_->path_of(name), decoded.failure().message);
  return decoded;
}

result<std::optional<object>> object::optional_child(std::string_view name) {
  const auto found = state_->find(name);
  if (!found)
    return std::optional<object>{};
  CUSTOS_TRY(auto member, object_of(state_->owner, *found, state_->path_of(name)));
  return std::optional<object>{std::move(member)};
}

result<object> object::child(std::string_view name) {
  const auto found = state_->find(name);
  if (!found)
    return expected(state_->path_of(name), "an object; it is missing");
  return object_of(state_->owner, *found, state_->path_of(name));
}

result<std::vector<value>> object::array(std::string_view name, std::size_t elements_max,
                                         bool optional) {
  const auto found = state_->find(name);
  const auto path = state_->path_of(name);
  if (!found) {
    if (optional)
      return std::vector<value>{};
    return expected(path, "an array; it is missing");
  }
  dom::array items;
  if (found->get(items) != simdjson::SUCCESS)
    return expected(path, "an array");
  std::vector<value> out;
  for (const auto item : items) {
    if (out.size() == elements_max)
      return field_error(errc::too_large, path,
                         "expected an array of " + up_to(elements_max, "elements"));
    out.emplace_back(std::make_shared<value::state>(
        value::state{state_->owner, item, path + "/" + std::to_string(out.size())}));
  }
  return out;
}

result<void> object::finish() const {
  for (const auto member : state_->element)
    if (state_->asked.find(member.key) == state_->asked.end())
      return field_error(errc::invalid_argument, state_->path_of(member.key),
                         "expected no such member");
  return {};
}

result<object> value::as_object() const {
  return object_of(state_->owner, state_->element, state_->path);
}
result<std::string> value::as_string(std::size_t bytes_max) const {
  return string_of(state_->element, state_->path, bytes_max);
}
result<std::int64_t> value::as_integer(std::int64_t min, std::int64_t max) const {
  return integer_of(state_->element, state_->path, min, max);
}

result<object> parse_object(std::string_view text, std::size_t bytes_max) {
  auto owner = std::make_shared<document>();
  CUSTOS_TRY(const auto root, parse_into(*owner, text, bytes_max));
  if (!root.is_object())
    return make_error(errc::malformed, "expected a JSON object");
  return object_of(owner, root, "");
}

result<boost::json::value> parse_any(std::string_view text, std::size_t bytes_max) {
  // Judged by the same parser as every document, because Boost.JSON keeps the last of two members
  // of one name without a word.
  document judged;
  CUSTOS_CHECK(parse_into(judged, text, bytes_max));
  boost::json::parse_options options;
  options.max_depth = depth_max;
  boost::system::error_code failed;
  auto parsed = boost::json::parse(text, failed, {}, options);
  if (failed)
    return make_error(errc::malformed, "expected JSON: " + failed.message());
  return parsed;
}

} // namespace custos::json

#include "adapters/json/writer.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/json/quoted.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <limits>

namespace custos::json {

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

void writer::before_value() {
  auto& here = levels_[depth_];
  assert(depth_ == 0 ? here.values == 0 : here.object == here.named);
  if (here.values > 0 && !here.named)
    out_->push_back(',');
  here.named = false;
  ++here.values;
}

writer& writer::begin(bool object, char bracket) {
  before_value();
  assert(depth_ < writer_depth_max);
  levels_[++depth_] = {object, false, 0};
  out_->push_back(bracket);
  return *this;
}

writer& writer::end(bool object, char bracket) {
  assert(depth_ > 0 && levels_[depth_].object == object && !levels_[depth_].named);
  static_cast<void>(object);
  --depth_;
  out_->push_back(bracket);
  return *this;
}

writer& writer::begin_object() {
  return begin(true, '{');
}

writer& writer::end_object() {
  return end(true, '}');
}

writer& writer::begin_array() {
  return begin(false, '[');
}

writer& writer::end_array() {
  return end(false, ']');
}

writer& writer::name(std::string_view literal) {
  auto& here = levels_[depth_];
  assert(here.object && !here.named && is_plain(literal));
  if (here.values > 0)
    out_->push_back(',');
  here.named = true;
  out_->append("\"").append(literal).append("\":");
  return *this;
}

writer& writer::string(std::string_view text) {
  return string(text, std::numeric_limits<std::size_t>::max());
}

writer& writer::string(std::string_view text, std::size_t bytes_max) {
  before_value();
  if (text.size() <= bytes_max && is_plain(text)) // nearly all text is
    out_->append("\"").append(text).push_back('"');
  else
    append_quoted(*out_, text, bytes_max);
  return *this;
}

writer& writer::number(std::int64_t n) {
  before_value();
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
  out_->append(digits.data(), end);
  return *this;
}

writer& writer::boolean(bool b) {
  before_value();
  out_->append(b ? "true" : "false");
  return *this;
}

writer& writer::hex(byte_view octets) {
  before_value();
  out_->push_back('"');
  crypto::append_hex(*out_, octets);
  out_->push_back('"');
  return *this;
}

writer& writer::base64url(byte_view octets) {
  before_value();
  out_->push_back('"');
  crypto::append_base64url(*out_, octets);
  out_->push_back('"');
  return *this;
}

} // namespace custos::json

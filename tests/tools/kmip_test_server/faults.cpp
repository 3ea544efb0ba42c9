#include "tests/tools/kmip_test_server/faults.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace custos::kmip_test_server {

namespace {

constexpr std::array<std::pair<std::string_view, wrong>, 20> names = {{
    {"slow", wrong::slow},
    {"late", wrong::late},
    {"garbage", wrong::garbage},
    {"short-length", wrong::short_length},
    {"long-length", wrong::long_length},
    {"giant", wrong::giant},
    {"cut", wrong::cut},
    {"close", wrong::close},
    {"silent", wrong::silent},
    {"flood", wrong::flood},
    {"other-id", wrong::other_id},
    {"other-key", wrong::other_key},
    {"no-operation", wrong::no_operation},
    {"no-version", wrong::no_version},
    {"lost", wrong::lost},
    {"denied", wrong::denied},
    {"failing", wrong::failing},
    {"pending", wrong::pending},
    {"short-key", wrong::short_key},
    {"key-length", wrong::key_length},
}};

constexpr std::array operations = {
    kmip::operation::create,  kmip::operation::register_object, kmip::operation::locate,
    kmip::operation::get,     kmip::operation::get_attributes,  kmip::operation::activate,
    kmip::operation::revoke,  kmip::operation::destroy,         kmip::operation::query,
    kmip::operation::encrypt, kmip::operation::decrypt,         kmip::operation::discover_versions};

std::optional<std::uint32_t> number_of(std::string_view text) {
  std::uint32_t out = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return out;
}

result<void> take_word(fault& out, std::string_view word) {
  if (word.starts_with("on=")) {
    out.on = operation_of_name(word.substr(3));
    if (out.on)
      return {};
  } else if (word.starts_with("times=")) {
    out.times_left = number_of(word.substr(6));
    if (out.times_left)
      return {};
  } else if (const auto number = number_of(word)) {
    out.number = *number;
    return {};
  }
  return make_error(errc::invalid_argument,
                    "expected a number, on=OPERATION or times=N, got " + std::string(word));
}

} // namespace

std::string name_of_operation(kmip::operation o) {
  std::string out = to_string(o);
  for (char& c : out) {
    if (c == ' ')
      c = '-';
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<kmip::operation> operation_of_name(std::string_view name) {
  const auto* const found =
      std::find_if(operations.begin(), operations.end(),
                   [name](const kmip::operation o) { return name_of_operation(o) == name; });
  return found == operations.end() ? std::nullopt : std::optional(*found);
}

result<fault> parse_fault(std::string_view text) {
  const auto word_of = [&text] {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    return word;
  };
  const auto name = word_of();
  const auto* const found =
      std::find_if(names.begin(), names.end(), [name](const auto& n) { return n.first == name; });
  if (found == names.end())
    return make_error(errc::invalid_argument, "there is no fault " + std::string(name));
  fault out;
  out.what = found->second;
  for (auto word = word_of(); !word.empty(); word = word_of())
    CUSTOS_CHECK(take_word(out, word));
  return out;
}

void fault_box::add(fault f) {
  const std::scoped_lock lock(mutex_);
  faults_.push_back(f);
}

void fault_box::clear() {
  const std::scoped_lock lock(mutex_);
  faults_.clear();
}

std::optional<fault> fault_box::take(kmip::operation o) {
  const std::scoped_lock lock(mutex_);
  for (auto& f : faults_) {
    if ((f.on && *f.on != o) || f.times_left == std::uint32_t{0})
      continue;
    if (f.times_left)
      --*f.times_left;
    return f;
  }
  return std::nullopt;
}

} // namespace custos::kmip_test_server

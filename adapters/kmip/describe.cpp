#include "adapters/kmip/describe.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/kmip/names.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <ctime>

namespace custos::kmip {

namespace bj = boost::json;

namespace {

constexpr std::size_t indent_columns = 2;

constexpr std::uint32_t key_value_tag = 0x420045;
constexpr std::uint32_t data_tag = 0x4200C2;
/// Everything under these is secret, whatever its type.
constexpr std::array<std::uint32_t, 11> secret_tags = {
    0x420030, // Derivation Data
    0x42003F, // Key
    0x420043, // Key Material
    0x42005A, // Opaque Data Value
    0x4200A1, // Password
    0x42014B, // Ticket Value
    0x420155, // Server Hashed Password
    0x420156, // One Time Password
    0x420157, // Hashed Password
    0x42015B, // PKCS#11 Input Parameters
    0x42015C, // PKCS#11 Output Parameters
};

std::uint32_t number_of(const ttlv_item& item) {
  return static_cast<std::uint32_t>(item.name());
}

bool is_octets(const ttlv_item& item) {
  return item.type() == item_type::byte_string || item.type() == item_type::text_string;
}

/// The tag by whose names a value is read: its own, or in 1.x that of the attribute it is of; 0 for
/// an attribute that has no tag.
struct place {
  std::uint32_t named_by = 0;
  bool secret = false;
};

bool is_secret(const ttlv_item& item, std::uint32_t named_by) {
  const auto has = [](std::uint32_t t) {
    return std::find(secret_tags.begin(), secret_tags.end(), t) != secret_tags.end();
  };
  const auto own = number_of(item);
  if (has(own) || has(named_by))
    return true;
  // Data is an enumeration in 2.x where it refers to that of another request of the batch.
  if (own == data_tag)
    return item.type() != item_type::enumeration;
  if (item.type() != item_type::byte_string)
    return false;
  return own == key_value_tag || tag_name(named_by).empty();
}

place place_of(const ttlv_item& child, const ttlv_item* parent, const place& outer) {
  place out;
  out.named_by = number_of(child);
  if (child.name() == tag::attribute_value && parent != nullptr) {
    const auto name = parent->child(tag::attribute_name);
    const bool text = name && name->type() == item_type::text_string;
    out.named_by = text ? tag_of(as_text(name->value())).value_or(0) : 0;
  }
  out.secret = outer.secret || is_secret(child, out.named_by);
  return out;
}

std::string two(int n) {
  return (n < 10 ? "0" : "") + std::to_string(n);
}

/// "2023-11-14T22:13:20Z"; empty for what has no calendar date.
std::string time_text(std::int64_t seconds) {
  const auto t = static_cast<std::time_t>(seconds);
  std::tm parts{};
  if (::gmtime_r(&t, &parts) == nullptr)
    return {};
  return std::to_string(1900LL + parts.tm_year) + "-" + two(parts.tm_mon + 1) + "-" +
         two(parts.tm_mday) + "T" + two(parts.tm_hour) + ":" + two(parts.tm_min) + ":" +
         two(parts.tm_sec) + "Z";
}

/// Microseconds, with their seconds rounded down.
std::string time_text_extended(std::int64_t microseconds) {
  constexpr std::int64_t million = 1000000;
  std::int64_t seconds = microseconds / million;
  std::int64_t rest = microseconds % million;
  if (rest < 0) {
    rest += million;
    --seconds;
  }
  auto text = time_text(seconds);
  if (text.empty())
    return text;
  const auto digits = std::to_string(rest);
  text.back() = '.';
  return text + std::string(6 - digits.size(), '0') + digits + "Z";
}

/// The names of the bits that are set; those without a name together as a number.
std::vector<std::string> names_of_mask(std::uint32_t t, std::uint32_t bits) {
  std::vector<std::string> out;
  std::uint32_t rest = bits;
  for (unsigned bit = 0; bit < 32; ++bit)
    if (((bits >> bit) & 1U) != 0)
      if (const auto name = mask_bit_name(t, bit); !name.empty()) {
        out.emplace_back(name);
        rest &= ~(1U << bit);
      }
  if (rest != 0)
    out.push_back(number_text(rest));
  return out;
}

std::string name_of_enumeration(const place& p, std::uint32_t value) {
  if (p.named_by == static_cast<std::uint32_t>(tag::attribute_reference))
    return std::string(tag_name(value));
  return std::string(enumeration_name(p.named_by, value));
}

/// In quotes; control characters, also those of U+0080 to U+009F, escaped.
std::string quoted(std::string_view text) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool c1 =
        c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c < 0x20 || c == 0x7F || c1) {
      const auto shown = c1 ? static_cast<unsigned char>(text[++i]) : c;
      out += "\\u00";
      out += digits[shown >> 4U];
      out += digits[shown & 15U];
    } else {
      out += text[i];
    }
  }
  return out + "\"";
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& n : names)
    out += (out.empty() ? "" : ", ") + n;
  return out;
}

std::string with_note(std::string value, const std::string& note) {
  return note.empty() ? value : value + " (" + note + ")";
}

// What a checked item has as its type says can be read: `value()` cannot fail below.

std::string value_text(const ttlv_item& item, const place& p) {
  switch (item.type()) {
  case item_type::structure:
    return {};
  case item_type::integer: {
    const auto n = item.as_integer().value();
    return with_note(std::to_string(n),
                     is_mask(p.named_by)
                         ? joined(names_of_mask(p.named_by, static_cast<std::uint32_t>(n)))
                         : "");
  }
  case item_type::long_integer:
    return std::to_string(item.as_long_integer().value());
  case item_type::big_integer:
  case item_type::byte_string:
    return crypto::hex(item.value());
  case item_type::enumeration: {
    const auto n = item.as_enumeration().value();
    const auto name = name_of_enumeration(p, n);
    return name.empty() ? number_text(n) : with_note(name, number_text(n));
  }
  case item_type::boolean:
    return item.as_boolean().value() ? "true" : "false";
  case item_type::text_string:
    return quoted(item.as_text().value());
  case item_type::date_time: {
    const auto n = item.as_date_time().value();
    return with_note(std::to_string(n), time_text(n));
  }
  case item_type::date_time_extended: {
    const auto n = item.as_date_time_extended().value();
    return with_note(std::to_string(n), time_text_extended(n));
  }
  case item_type::interval:
    return std::to_string(item.as_interval().value()) + " s";
  }
  return {};
}

std::string hidden_text(const ttlv_item& item) {
  return is_octets(item) ? "not shown, " + std::to_string(item.value().size()) + " bytes"
                         : "not shown";
}

void describe_into(std::string& out, const ttlv_item& item, const place& p, std::size_t depth,
                   const describe_options& options) {
  out.append(depth * indent_columns, ' ');
  out += to_string(item.name()) + " (" + std::string(to_string(item.type())) + ")";
  if (item.type() != item_type::structure)
    out += ": " + (p.secret && !options.show_secrets ? hidden_text(item) : value_text(item, p));
  out += "\n";
  for (const ttlv_item child : item.children())
    describe_into(out, child, place_of(child, &item, p), depth + 1, options);
}

void put_value(bj::object& out, const ttlv_item& item, const place& p) {
  switch (item.type()) {
  case item_type::structure:
    return;
  case item_type::integer: {
    const auto n = item.as_integer().value();
    out["value"] = n;
    if (!is_mask(p.named_by))
      return;
    auto& names = out["names"].emplace_array();
    for (auto& name : names_of_mask(p.named_by, static_cast<std::uint32_t>(n)))
      names.emplace_back(std::move(name));
    return;
  }
  case item_type::long_integer:
    out["value"] = item.as_long_integer().value();
    return;
  case item_type::big_integer:
  case item_type::byte_string:
    out["value"] = crypto::hex(item.value());
    return;
  case item_type::enumeration: {
    const auto n = item.as_enumeration().value();
    out["value"] = n;
    if (const auto name = name_of_enumeration(p, n); !name.empty())
      out["name"] = name;
    return;
  }
  case item_type::boolean:
    out["value"] = item.as_boolean().value();
    return;
  case item_type::text_string:
    out["value"] = bj::string(item.as_text().value());
    return;
  case item_type::date_time:
    out["value"] = item.as_date_time().value();
    out["time"] = time_text(item.as_date_time().value());
    return;
  case item_type::date_time_extended:
    out["value"] = item.as_date_time_extended().value();
    out["time"] = time_text_extended(item.as_date_time_extended().value());
    return;
  case item_type::interval:
    out["value"] = item.as_interval().value();
    return;
  }
}

bj::value describe_value(const ttlv_item& item, const place& p, const describe_options& options) {
  bj::object out{{"tag", to_string(item.name())},
                 {"number", number_text(number_of(item))},
                 {"type", bj::string(to_string(item.type()))}};
  if (item.type() == item_type::structure) {
    auto& children = out["value"].emplace_array();
    for (const ttlv_item child : item.children())
      children.push_back(describe_value(child, place_of(child, &item, p), options));
  } else if (p.secret && !options.show_secrets) {
    out["hidden"] = true;
    if (is_octets(item))
      out["length"] = item.value().size();
  } else {
    put_value(out, item, p);
  }
  return out;
}

} // namespace

std::string describe(const ttlv_item& item, const describe_options& options) {
  std::string out;
  describe_into(out, item, place_of(item, nullptr, {}), 0, options);
  return out;
}

bj::value describe_json(const ttlv_item& item, const describe_options& options) {
  return describe_value(item, place_of(item, nullptr, {}), options);
}

} // namespace custos::kmip

#include "adapters/ima/templates.hpp"

#include <algorithm>
#include <cassert>

namespace custos::ima {

namespace {

using enum field_form;

constexpr std::size_t algorithm_chars_max = 32;

/// A list starts with the PCR: two characters, or 32 bits with a small first octet.
bool looks_ascii(byte_view log) {
  return !log.empty() && (log[0] == ' ' || (log[0] >= '0' && log[0] <= '9'));
}

std::uint32_t u32_at(const std::uint8_t* p) {
  return static_cast<std::uint32_t>(p[0]) | static_cast<std::uint32_t>(p[1]) << 8 |
         static_cast<std::uint32_t>(p[2]) << 16 | static_cast<std::uint32_t>(p[3]) << 24;
}

/// Little-endian reader that never goes beyond its view.
class reader {
public:
  explicit reader(byte_view data) : data_(data) {}

  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t left() const { return data_.size() - offset_; }
  bool take(std::size_t n, byte_view& out) {
    if (n > left())
      return false;
    out = data_.subspan(offset_, n);
    offset_ += n;
    return true;
  }
  bool u32(std::uint32_t& out) {
    byte_view b;
    if (!take(4, b))
      return false;
    out = u32_at(b.data());
    return true;
  }
  /// A length and as many octets.
  bool field(byte_view& out) {
    std::uint32_t size = 0;
    return u32(size) && take(size, out);
  }

private:
  byte_view data_;
  std::size_t offset_ = 0;
};

/// The values of digits as the kernel writes them; above 15 for anything else. A table: half of
/// the branches on random digits would be mispredicted.
constexpr auto hex_values = [] {
  std::array<std::uint8_t, 256> out{};
  out.fill(0xFF);
  for (std::uint8_t i = 0; i < 10; ++i)
    out.at(static_cast<std::size_t>('0') + i) = i;
  for (std::uint8_t i = 0; i < 6; ++i)
    out.at(static_cast<std::size_t>('a') + i) = static_cast<std::uint8_t>(10 + i);
  return out;
}();

bool decode_hex(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != 2 * out.size())
    return false;
  const auto digits = as_bytes(text);
  std::uint8_t all = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto high = hex_values[digits[2 * i]];
    const auto low = hex_values[digits[2 * i + 1]];
    all |= high | low;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return all <= 15;
}

class parser {
public:
  parser(byte_view log, const limits& limit, std::uint32_t first)
      : in_(log), limit_(limit), first_(first) {
    out_.log = log;
    out_.ascii = looks_ascii(log);
  }

  result<parsed_log> run() {
    // A hint only: entries are about this long in practice.
    constexpr std::size_t typical_entry_bytes = 120;
    out_.entries.reserve(
        std::min<std::size_t>(limit_.entries_max, out_.log.size() / typical_entry_bytes + 1));
    if (out_.ascii)
      out_.rebuilt.reserve(out_.log.size());
    while (in_.left() > 0) {
      current_ = entry{};
      current_.index = first_ + static_cast<std::uint32_t>(out_.entries.size());
      current_.offset = static_cast<std::uint32_t>(in_.offset());
      if (out_.entries.size() >= limit_.entries_max)
        return fail("more entries than entries_max", errc::too_large);
      CUSTOS_CHECK(out_.ascii ? read_line() : read_binary());
      out_.entries.push_back(current_);
    }
    return std::move(out_);
  }

private:
  [[nodiscard]] error fail(const std::string& what, errc code = errc::malformed) const {
    return entry_error(current_, code, what);
  }

  // ---- binary: pcr u32, hash[20], name, template data (ima: digest[20], name) -------------------

  result<void> read_binary() {
    std::uint32_t pcr = 0;
    byte_view hash;
    byte_view name;
    if (!in_.u32(pcr) || !in_.take(template_hash_bytes, hash) || !in_.field(name))
      return fail("cut short");
    CUSTOS_TRY(const auto* form, check_header(pcr, as_text(name)));
    set_hash(hash);
    if (form->kind == template_kind::ima) {
      byte_view file;
      byte_view path;
      if (!in_.take(template_hash_bytes, file) || !in_.field(path))
        return fail("cut short");
      return read_old_form(file, as_text(path));
    }
    byte_view data;
    if (!in_.field(data))
      return fail("cut short");
    return read_fields(*form, data);
  }

  result<const template_form*> check_header(std::uint32_t pcr, std::string_view name) {
    if (pcr != measured_pcr)
      return fail("it extends PCR " + std::to_string(pcr) + ", expected PCR 10", errc::unsupported);
    const auto* form = find_template(name);
    if (form == nullptr)
      return fail("template '" + printable(name.substr(0, 4 * template_chars_max)) +
                      "'; expected ima-ng, ima-sig, ima-buf, ima-modsig, ima-ngv2, ima-sigv2 or "
                      "ima",
                  errc::unsupported);
    current_.kind = form->kind;
    return form;
  }

  void set_hash(byte_view hash) {
    std::copy(hash.begin(), hash.end(), current_.template_hash.begin());
    current_.violation =
        std::all_of(hash.begin(), hash.end(), [](std::uint8_t b) { return b == 0; });
  }

  // ---- ASCII: "%2d" pcr, hash, name, the fields; one space between ------------------------------

  result<void> read_line() {
    const auto start = in_.offset();
    const auto text = as_text(out_.log).substr(start);
    const auto end = text.find('\n');
    if (end == std::string_view::npos)
      return fail("the last line does not end");
    byte_view line;
    in_.take(end + 1, line);
    auto rest = text.substr(0, end);
    const auto pcr = next_token(rest, 1);
    const auto hash = next_token(rest);
    const auto name = next_token(rest);
    if (!pcr || !hash || !name)
      return fail("expected a PCR, a template hash and a template");
    CUSTOS_TRY(const auto number, pcr_of(*pcr));
    CUSTOS_TRY(const auto* form, check_header(number, *name));
    std::array<std::uint8_t, template_hash_bytes> octets{};
    if (!decode_hex(*hash, octets))
      return fail("the template hash is not 40 lower-case hexadecimal digits");
    set_hash(octets);
    std::array<std::string_view, fields_max> parts;
    CUSTOS_CHECK(split(*form, rest, parts));
    if (form->kind != template_kind::ima)
      return rebuild(*form, parts);
    CUSTOS_TRY(const auto file, put_hex(parts[0]));
    return read_old_form(file, parts[1]);
  }

  /// Up to the next space behind the first `skip` characters; takes the space, too.
  static std::optional<std::string_view> next_token(std::string_view& rest, std::size_t skip = 0) {
    const auto space = rest.find(' ', skip);
    if (space == std::string_view::npos)
      return std::nullopt;
    const auto token = rest.substr(0, space);
    rest.remove_prefix(space + 1);
    return token;
  }

  /// Two characters: "10", " 9".
  result<std::uint32_t> pcr_of(std::string_view text) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.size() != 2 || !digit(text[1]) || !(text[0] == ' ' || digit(text[0])))
      return fail("the PCR is not a number of two characters");
    const auto tens = text[0] == ' ' ? 0 : text[0] - '0';
    return static_cast<std::uint32_t>(10 * tens + (text[1] - '0'));
  }

  /// The first field and those behind the path contain no space; the path may.
  result<void> split(const template_form& form, std::string_view rest,
                     std::array<std::string_view, fields_max>& parts) {
    const auto head = next_token(rest);
    if (!head)
      return fail("expected a digest and a path");
    parts[0] = *head;
    for (std::size_t i = form.fields - 1; i > 1; --i) {
      const auto space = rest.rfind(' ');
      if (space == std::string_view::npos)
        return fail("expected " + std::to_string(form.fields) + " fields");
      parts.at(i) = rest.substr(space + 1);
      rest = rest.substr(0, space);
    }
    parts[1] = rest;
    return {};
  }

  /// Makes the template data that the kernel hashed of the fields of a line.
  result<void> rebuild(const template_form& form,
                       const std::array<std::string_view, fields_max>& parts) {
    auto& arena = out_.rebuilt;
    const auto start = arena.size();
    for (std::size_t i = 0; i < form.fields; ++i) {
      const auto length_at = arena.size();
      grow(4);
      switch (form.forms.at(i)) {
      case digest:
        CUSTOS_CHECK(put_digest(parts.at(i)));
        break;
      case text:
        if (parts.at(i).find('\0') != std::string_view::npos)
          return fail("a zero octet in a line");
        put(as_bytes(parts.at(i)));
        arena.push_back(0);
        break;
      case hex:
        CUSTOS_TRY(const auto octets, put_hex(parts.at(i)));
        static_cast<void>(octets);
        break;
      }
      const auto size = arena.size() - length_at - 4;
      for (std::size_t n = 0; n < 4; ++n)
        arena[length_at + n] = static_cast<std::uint8_t>(size >> (8 * n));
    }
    return read_fields(form, byte_view(arena).subspan(start));
  }

  /// "sha256:<hex>" is "sha256:", a zero octet and the digest; a missing digest is nothing at all.
  result<void> put_digest(std::string_view part) {
    if (part.empty())
      return {};
    const auto colon = part.rfind(':');
    if (colon == std::string_view::npos)
      return fail("expected a digest behind its algorithm and a colon");
    put(as_bytes(part.substr(0, colon + 1)));
    out_.rebuilt.push_back(0);
    CUSTOS_TRY(const auto octets, put_hex(part.substr(colon + 1)));
    static_cast<void>(octets);
    return {};
  }

  result<byte_view> put_hex(std::string_view part) {
    auto& arena = out_.rebuilt;
    const auto start = arena.size();
    grow(part.size() / 2);
    if (!decode_hex(part, std::span(arena).subspan(start)))
      return fail("expected an even number of lower-case hexadecimal digits");
    return byte_view(arena).subspan(start);
  }

  void put(byte_view octets) {
    const auto at = out_.rebuilt.size();
    grow(octets.size());
    std::copy(octets.begin(), octets.end(), std::span(out_.rebuilt).subspan(at).begin());
  }

  /// What a line is rebuilt to is shorter than the line: hash and names of a line are not in it,
  /// and digests take half their digits. So the memory never moves beneath the views.
  void grow(std::size_t n) {
    assert(out_.rebuilt.size() + n <= out_.rebuilt.capacity());
    out_.rebuilt.resize(out_.rebuilt.size() + n);
  }

  // ---- both -------------------------------------------------------------------------------------

  result<void> read_fields(const template_form& form, byte_view data) {
    current_.template_data = data;
    reader in(data);
    std::array<byte_view, fields_max> fields;
    for (std::size_t i = 0; i < form.fields; ++i) {
      if (!in.field(fields.at(i)))
        return fail("a field is longer than the template data");
      if (fields.at(i).size() > limit_.field_bytes_max)
        return fail("a field is longer than field_bytes_max", errc::too_large);
    }
    if (in.left() != 0)
      return fail("octets behind the last field");
    CUSTOS_CHECK(read_digest(fields[0]));
    CUSTOS_CHECK(read_path(fields[1]));
    if (form.kind != template_kind::ima_buf)
      current_.signature = fields[2];
    current_.appended_signature = !fields[4].empty();
    return {};
  }

  /// "sha256:", a zero octet, the digest; in the newer form "ima:sha256:" or "verity:sha256:".
  result<void> read_digest(byte_view field) {
    const auto text = as_text(field);
    const auto zero = text.find('\0');
    if (zero == std::string_view::npos || zero < 2 || text[zero - 1] != ':')
      return fail("expected a digest behind its algorithm, a colon and a zero octet");
    auto name = text.substr(0, zero - 1);
    const bool typed =
        current_.kind == template_kind::ima_ngv2 || current_.kind == template_kind::ima_sigv2;
    if (typed && name.starts_with("verity:"))
      current_.verity = true;
    else if (typed && !name.starts_with("ima:"))
      return fail("expected a digest of type ima or verity");
    if (typed)
      name.remove_prefix(name.find(':') + 1);
    const auto plain = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (name.empty() || name.size() > algorithm_chars_max ||
        !std::all_of(name.begin(), name.end(), plain))
      return fail("the name of the digest's algorithm is not one");
    current_.algorithm = name;
    return set_digest(field.subspan(zero + 1));
  }

  result<void> set_digest(byte_view octets) {
    if (octets.empty() || octets.size() > digest_bytes_max)
      return fail("the digest is not 1 to 64 octets");
    current_.digest = octets;
    const auto alg = crypto::hash_alg_of(current_.algorithm);
    // Violations carry zeros; kernels before 6.10 as many as SHA-1 has, whatever the algorithm.
    const bool old_violation = current_.violation && octets.size() == template_hash_bytes;
    if (alg && crypto::digest_size(*alg) != octets.size() && !old_violation)
      return fail("the digest's length is not that of its algorithm");
    return {};
  }

  result<void> read_path(byte_view field) {
    const auto text = as_text(field);
    if (text.empty() || text.find('\0') != text.size() - 1)
      return fail("the path does not end with its only zero octet");
    current_.path = text.substr(0, text.size() - 1);
    return {};
  }

  result<void> read_old_form(byte_view file, std::string_view path) {
    constexpr std::size_t path_bytes_max = 255; // IMA_EVENT_NAME_LEN_MAX
    if (file.size() != template_hash_bytes)
      return fail("the digest is not 20 octets");
    if (path.size() > path_bytes_max || path.find('\0') != std::string_view::npos)
      return fail("the path has more than 255 octets, or a zero octet");
    current_.algorithm = "sha1";
    current_.digest = file;
    current_.path = path;
    return {};
  }

  reader in_;
  limits limit_;
  std::uint32_t first_;
  parsed_log out_;
  entry current_;
};

} // namespace

result<parsed_log> parse(byte_view log, const limits& limit, std::uint32_t first) {
  // Offsets are kept in 32 bits, and so are entries' numbers.
  const auto bytes_max = std::min<std::size_t>(limit.log_bytes_max, UINT32_MAX);
  if (log.size() > bytes_max || first > UINT32_MAX - limit.entries_max) {
    auto e = make_error(errc::too_large, log.size() > bytes_max
                                             ? "IMA log: longer than log_bytes_max"
                                             : "IMA log: its first entry's number is too large");
    e.check = "ima-log";
    return e;
  }
  return parser(log, limit, first).run();
}

} // namespace custos::ima

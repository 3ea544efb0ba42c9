#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/eventlog.hpp"

#include <algorithm>
#include <string>

namespace custos::eventlog {

namespace {

constexpr std::size_t sha1_bytes = 20;
constexpr std::uint16_t alg_sha1 = 0x0004;
constexpr std::string_view agile_signature{"Spec ID Event03\0", 16};
constexpr std::string_view locality_signature{"StartupLocality\0", 16};

/// Little-endian reader over the log (the TCG log is little-endian, unlike the TPM).
class reader {
public:
  explicit reader(byte_view data, std::size_t offset = 0) : data_(data), offset_(offset) {}

  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t left() const { return data_.size() - offset_; }
  bool take(std::size_t n, byte_view& out) {
    if (n > left())
      return false;
    out = data_.subspan(offset_, n);
    offset_ += n;
    return true;
  }
  bool u8(std::uint8_t& out) {
    byte_view b;
    if (!take(1, b))
      return false;
    out = b[0];
    return true;
  }
  bool u16(std::uint16_t& out) {
    byte_view b;
    if (!take(2, b))
      return false;
    out = static_cast<std::uint16_t>(b[0] | b[1] << 8);
    return true;
  }
  bool u32(std::uint32_t& out) {
    byte_view b;
    if (!take(4, b))
      return false;
    out = static_cast<std::uint32_t>(b[0]) | static_cast<std::uint32_t>(b[1]) << 8 |
          static_cast<std::uint32_t>(b[2]) << 16 | static_cast<std::uint32_t>(b[3]) << 24;
    return true;
  }

private:
  byte_view data_;
  std::size_t offset_;
};

bool starts_with(byte_view data, std::string_view text) {
  return data.size() >= text.size() && std::equal(text.begin(), text.end(), data.begin());
}

bool all_zero(byte_view data) {
  return std::all_of(data.begin(), data.end(), [](std::uint8_t b) { return b == 0; });
}

/// Where the run of equal 0x00 or 0xFF bytes at the end of the log starts. Found once, from the
/// end: looking ahead at every event would let zeros cost quadratic time.
std::size_t padding_start(byte_view log) {
  const std::uint8_t last = log.back();
  if (last != 0x00 && last != 0xFF)
    return log.size();
  std::size_t start = log.size();
  while (start > 0 && log[start - 1] == last)
    --start;
  return start;
}

class parser {
public:
  parser(byte_view log, const limits& limit) : in_(log), limit_(limit) { out_.log = log; }

  result<parsed_log> run() {
    const auto padding = padding_start(out_.log);
    if (padding == 0)
      return fail("nothing but padding");
    // A hint only: the smallest events that occur in practice.
    constexpr std::size_t typical_event_bytes = 96;
    out_.events.reserve(
        std::min<std::size_t>(limit_.events_max, out_.log.size() / typical_event_bytes + 1));
    CUSTOS_CHECK(read_first());
    out_.digest_offsets.reserve(out_.events.capacity() * out_.banks.size());
    while (in_.left() > 0) {
      if (in_.offset() >= padding) {
        out_.padding_bytes = in_.left();
        break;
      }
      if (out_.events.size() >= limit_.events_max)
        return fail("more events than events_max", errc::too_large, "event-log-size");
      CUSTOS_CHECK(out_.crypto_agile ? read_agile() : read_legacy());
    }
    return std::move(out_);
  }

private:
  [[nodiscard]] error fail(const std::string& what, errc code = errc::malformed,
                           const char* check = "event-log-malformed") const {
    const auto index = static_cast<std::uint32_t>(out_.events.size());
    auto e = make_error(code, "event log, event " + std::to_string(index) + " at offset " +
                                  std::to_string(start_) + ": " + what);
    e.check = check;
    e.event = index;
    return e;
  }

  /// Both forms start with one event of the old form; its data says which form the rest has.
  result<void> read_first() {
    event e;
    byte_view digest;
    CUSTOS_CHECK(read_old_form(e, digest));
    out_.crypto_agile = e.type == event_type::no_action && starts_with(e.data, agile_signature);
    if (out_.crypto_agile) {
      if (e.pcr != 0 || !all_zero(digest))
        return fail("the Spec ID header is not an unmeasured event of PCR 0");
      CUSTOS_CHECK(read_header(e.data));
      out_.digest_offsets.assign(out_.banks.size(), 0);
    } else {
      out_.banks = {{.alg = alg_sha1, .digest_bytes = sha1_bytes}};
      out_.digest_offsets = {static_cast<std::uint32_t>(digest.data() - out_.log.data())};
    }
    return add(e);
  }

  /// TCG_EfiSpecIDEvent (section 10.4.5.1).
  result<void> read_header(byte_view data) {
    reader in(data, agile_signature.size());
    std::uint32_t platform_class = 0;
    std::uint32_t count = 0;
    std::uint8_t minor = 0;
    std::uint8_t major = 0;
    std::uint8_t uintn = 0;
    if (!in.u32(platform_class) || !in.u8(minor) || !in.u8(major) || !in.u8(out_.spec_errata) ||
        !in.u8(uintn) || !in.u32(count))
      return fail("the Spec ID header is cut short");
    if (major != 2 || minor != 0)
      return fail("expected version 2.0 of the event log", errc::unsupported);
    if (uintn != 1 && uintn != 2)
      return fail("uintnSize is neither 1 nor 2");
    if (count == 0 || count > banks_max)
      return fail("expected 1 to 16 digest algorithms");
    for (std::uint32_t i = 0; i < count; ++i) {
      bank b;
      if (!in.u16(b.alg) || !in.u16(b.digest_bytes))
        return fail("the algorithm table is cut short");
      CUSTOS_CHECK(add_bank(b));
    }
    std::uint8_t vendor_bytes = 0;
    byte_view vendor;
    if (!in.u8(vendor_bytes) || !in.take(vendor_bytes, vendor) || in.left() != 0)
      return fail("the vendor information does not end with the header");
    return {};
  }

  result<void> add_bank(const bank& b) {
    if (b.digest_bytes == 0 || b.digest_bytes > digest_bytes_max)
      return fail("a digest size is not 1 to 64 bytes");
    for (const auto alg : {crypto::hash_alg::sha1, crypto::hash_alg::sha256,
                           crypto::hash_alg::sha384, crypto::hash_alg::sha512})
      if (static_cast<std::uint16_t>(alg) == b.alg && crypto::digest_size(alg) != b.digest_bytes)
        return fail("a digest size is not that of its algorithm");
    if (std::any_of(out_.banks.begin(), out_.banks.end(),
                    [&](const bank& other) { return other.alg == b.alg; }))
      return fail("a digest algorithm is declared twice");
    out_.banks.push_back(b);
    return {};
  }

  /// TCG_PCR_EVENT.
  result<void> read_old_form(event& e, byte_view& digest) {
    start_ = in_.offset();
    std::uint32_t size = 0;
    if (!in_.u32(e.pcr) || !in_.u32(e.type) || !in_.take(sha1_bytes, digest) || !in_.u32(size) ||
        !in_.take(size, e.data))
      return fail("cut short");
    return {};
  }

  result<void> read_legacy() {
    event e;
    byte_view digest;
    CUSTOS_CHECK(read_old_form(e, digest));
    out_.digest_offsets.push_back(static_cast<std::uint32_t>(digest.data() - out_.log.data()));
    return add(e);
  }

  /// TCG_PCR_EVENT2.
  result<void> read_agile() {
    start_ = in_.offset();
    event e;
    std::uint32_t count = 0;
    if (!in_.u32(e.pcr) || !in_.u32(e.type) || !in_.u32(count))
      return fail("cut short");
    if (count == 0 || count > out_.banks.size())
      return fail("digest count does not fit the algorithm table");
    const auto first = out_.digest_offsets.size();
    out_.digest_offsets.resize(first + out_.banks.size(), 0);
    for (std::uint32_t i = 0; i < count; ++i) {
      std::uint16_t alg = 0;
      if (!in_.u16(alg))
        return fail("cut short in its digests");
      std::size_t b = 0;
      while (b < out_.banks.size() && out_.banks[b].alg != alg)
        ++b;
      if (b == out_.banks.size())
        return fail("a digest of an algorithm that the header does not declare");
      auto& slot = out_.digest_offsets[first + b];
      if (slot != 0)
        return fail("two digests of one algorithm");
      slot = static_cast<std::uint32_t>(in_.offset());
      byte_view digest;
      if (!in_.take(out_.banks[b].digest_bytes, digest))
        return fail("cut short in its digests");
    }
    std::uint32_t size = 0;
    if (!in_.u32(size) || !in_.take(size, e.data))
      return fail("cut short in its data");
    return add(e);
  }

  result<void> add(event& e) {
    // What is not measured belongs to no PCR; some firmware says so with index 0xFFFFFFFF.
    if (e.pcr >= pcrs_max && e.type != event_type::no_action)
      return fail("PCR index above 23");
    if (e.type == event_type::no_action)
      CUSTOS_CHECK(read_locality(e));
    else if (e.pcr == 0)
      pcr0_extended_ = true;
    e.index = static_cast<std::uint32_t>(out_.events.size());
    e.offset = static_cast<std::uint32_t>(start_);
    out_.events.push_back(e);
    return {};
  }

  /// Section 10.4.5.3. Some firmware (coreboot) writes it into a larger entry.
  result<void> read_locality(const event& e) {
    if (!starts_with(e.data, locality_signature))
      return {};
    if (e.pcr != 0 || e.data.size() <= locality_signature.size())
      return fail("StartupLocality is not an event of PCR 0 with a locality");
    const auto locality = e.data[locality_signature.size()];
    if (locality != 0 && locality != 3 && locality != 4)
      return fail("the startup locality is not 0, 3 or 4");
    if (out_.startup_locality)
      return fail("a second StartupLocality");
    if (pcr0_extended_)
      return fail("StartupLocality behind a measurement of PCR 0");
    out_.startup_locality = locality;
    return {};
  }

  reader in_;
  limits limit_;
  parsed_log out_;
  std::size_t start_ = 0;
  bool pcr0_extended_ = false;
};

} // namespace

result<parsed_log> parse(byte_view log, const limits& limit) {
  // Offsets are kept in 32 bits.
  const auto bytes_max = std::min<std::size_t>(limit.log_bytes_max, UINT32_MAX);
  if (log.size() > bytes_max) {
    auto e = make_error(errc::too_large, "event log: longer than log_bytes_max");
    e.check = "event-log-size";
    return e;
  }
  if (log.empty()) {
    auto e = make_error(errc::malformed, "event log: empty");
    e.check = "event-log-malformed";
    return e;
  }
  return parser(log, limit).run();
}

std::optional<std::size_t> parsed_log::bank_index(crypto::hash_alg alg) const {
  for (std::size_t i = 0; i < banks.size(); ++i)
    if (banks[i].alg == static_cast<std::uint16_t>(alg))
      return i;
  return std::nullopt;
}

std::vector<crypto::hash_alg> parsed_log::known_banks() const {
  std::vector<crypto::hash_alg> out;
  for (const auto alg : {crypto::hash_alg::sha1, crypto::hash_alg::sha256, crypto::hash_alg::sha384,
                         crypto::hash_alg::sha512})
    if (bank_index(alg))
      out.push_back(alg);
  return out;
}

byte_view parsed_log::digest(const event& e, std::size_t bank) const {
  const auto slot = e.index * banks.size() + bank;
  if (bank >= banks.size() || slot >= digest_offsets.size() || digest_offsets[slot] == 0)
    return {};
  return log.subspan(digest_offsets[slot], banks[bank].digest_bytes);
}

byte_view parsed_log::digest(const event& e, crypto::hash_alg alg) const {
  const auto index = bank_index(alg);
  return index ? digest(e, *index) : byte_view();
}

} // namespace custos::eventlog

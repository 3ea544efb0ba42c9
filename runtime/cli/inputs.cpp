#include "runtime/cli/inputs.hpp"

#include "adapters/crypto/x509.hpp"
#include "adapters/json/json.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>
#include <charconv>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::size_t pcr_file_bytes_max = std::size_t{1} << 20;
constexpr std::string_view pem_certificate = "-----BEGIN CERTIFICATE-----";

std::optional<std::uint32_t> number_of(std::string_view digits) {
  std::uint32_t out = 0;
  const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (r.ec != std::errc{} || r.ptr != digits.data() + digits.size() || out >= eventlog::pcrs_max)
    return std::nullopt;
  return out;
}

} // namespace

error in_file(const std::string& file, error e) {
  e.code = errc::malformed;
  e.field = file;
  return e;
}

result<bytes> read_octets(const std::string& file, std::size_t bytes_max) {
  CUSTOS_TRY(const auto text, runtime::read_text_file(file, bytes_max));
  return to_bytes(text);
}

result<std::uint32_t> pcr_mask(const std::string& flag, std::string_view text) {
  std::uint32_t mask = 0;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const auto dash = part.find('-');
    const auto first = number_of(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number_of(part.substr(dash + 1));
    if (!first || !last || *first > *last)
      return field_error(errc::invalid_argument, flag,
                         "expected numbers from 0 to 23, as in 0-9,14");
    for (auto pcr = *first; pcr <= *last; ++pcr)
      mask |= 1U << pcr;
  }
  return mask;
}

std::string pcr_text(std::uint32_t mask) {
  std::string out;
  for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr) {
    if ((mask >> pcr & 1U) == 0)
      continue;
    auto last = pcr;
    while (last + 1 < eventlog::pcrs_max && (mask >> (last + 1) & 1U) != 0)
      ++last;
    out += (out.empty() ? "" : ",") + std::to_string(pcr);
    if (last > pcr)
      out += (last == pcr + 1 ? "," : "-") + std::to_string(last);
    pcr = last;
  }
  return out;
}

result<std::vector<pcr_value>> read_pcr_values(const std::string& file) {
  CUSTOS_TRY(const auto text, runtime::read_text_file(file, pcr_file_bytes_max));
  const auto wrong = [&](const std::string& where) {
    return field_error(errc::malformed, file, "expected {\"sha256\": {\"0\": \"<hex>\"}}" + where);
  };
  auto document = json::parse_any(text);
  if (!document || !document->is_object())
    return wrong("");
  const auto* banks = &document->get_object();
  for (const auto* member : {"pcrs", "banks"})
    if (const auto* const inner = banks->if_contains(member)) {
      if (!inner->is_object())
        return wrong(std::string(", at /") + member);
      banks = &inner->get_object();
      break;
    }
  std::vector<pcr_value> out;
  for (const auto& [name, values] : *banks) {
    const auto alg = crypto::hash_alg_of(name);
    const auto* const list = values.if_object();
    if (!alg || list == nullptr)
      return wrong(", at /" + std::string(name));
    for (const auto& [number, value] : *list) {
      const auto where = ", at /" + std::string(name) + "/" + std::string(number);
      const auto pcr = number_of(number);
      if (!pcr || !value.is_string())
        return wrong(where);
      auto digest = crypto::from_hex(value.get_string());
      if (!digest || digest->size() != crypto::digest_size(*alg))
        return wrong(where);
      out.push_back({static_cast<std::uint16_t>(*alg), *pcr, *std::move(digest)});
    }
  }
  return out;
}

result<boot_log> parse_boot_log(const std::string& file, bytes raw) {
  boot_log out;
  out.raw = std::move(raw);
  auto parsed = eventlog::parse(out.raw);
  if (!parsed)
    return in_file(file, std::move(parsed).failure());
  out.parsed = *std::move(parsed);
  return out;
}

result<boot_log> read_boot_log(const std::string& file) {
  CUSTOS_TRY(auto raw, read_octets(file, log_bytes_max));
  return parse_boot_log(file, std::move(raw));
}

result<crypto::key> read_public_key(const std::string& file) {
  CUSTOS_TRY(const auto pem, runtime::read_text_file(file, small_file_bytes_max));
  if (pem.find(pem_certificate) != std::string::npos) {
    auto certificates = crypto::certificates_from_pem(as_bytes(pem));
    if (!certificates || certificates->size() != 1)
      return field_error(errc::malformed, file, "expected one certificate or public key in PEM");
    return certificates->front().public_key();
  }
  auto key = crypto::public_key_from_pem(as_bytes(pem));
  if (!key)
    return in_file(file, std::move(key).failure());
  return key;
}

result<crypto::key> read_private_key(const std::string& file) {
  CUSTOS_TRY(auto pem, runtime::read_text_file(file, small_file_bytes_max));
  auto key = crypto::private_key_from_pem(as_bytes(pem));
  crypto::wipe(pem.data(), pem.size());
  if (!key)
    return in_file(file, std::move(key).failure());
  return key;
}

} // namespace custos::cli

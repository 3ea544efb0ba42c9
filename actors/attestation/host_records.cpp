#include "actors/attestation/host_records.hpp"

#include "actors/attestation/host_table.hpp"
#include "adapters/crypto/crypto.hpp"
#include "adapters/json/json.hpp"

#include <boost/json.hpp>
#include <limits>

namespace custos::attestation {

namespace bj = boost::json;

namespace {

constexpr std::int64_t number_max = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t record_bytes_max = 64U << 10U;
constexpr std::size_t text_bytes_max = 4096;
constexpr std::size_t name_bytes_max = 66;
constexpr std::size_t lists_max = 64;
constexpr std::size_t pcr_values_max = 16 * 24;

bj::object json_of_verdict(const host_verdict& v) {
  bj::object out{{"at", v.at}, {"accepted", v.accepted}};
  if (!v.check.empty())
    out["check"] = v.check;
  if (!v.message.empty())
    out["message"] = v.message;
  if (v.pcr)
    out["pcr"] = *v.pcr;
  if (v.event)
    out["event"] = *v.event;
  if (v.retryable)
    out["retryable"] = true;
  if (v.authentic)
    out["authentic"] = true;
  if (!v.image.empty()) {
    out["image"] = v.image;
    out["image_version"] = v.image_version;
  }
  if (!v.findings.empty()) {
    bj::array list;
    for (const auto& f : v.findings)
      list.emplace_back(bj::object{{"check", f.check}, {"message", f.message}});
    out["findings"] = std::move(list);
  }
  if (!v.watched_images.empty()) {
    bj::array list;
    for (const auto& [name, matches] : v.watched_images)
      list.emplace_back(bj::object{{"image", name}, {"matches", matches}});
    out["watched_images"] = std::move(list);
  }
  return out;
}

/// A number that may be missing.
result<std::int64_t> number(json::object& o, std::string_view name) {
  CUSTOS_TRY(const auto n, o.optional_integer(name, 0, number_max));
  return n.value_or(0);
}

result<std::string> text(json::object& o, std::string_view name) {
  CUSTOS_TRY(auto t, o.optional_string(name, text_bytes_max));
  return std::move(t).value_or("");
}

result<bool> flag(json::object& o, std::string_view name) {
  CUSTOS_TRY(const auto f, o.optional_boolean(name));
  return f.value_or(false);
}

result<std::optional<std::uint32_t>> small(json::object& o, std::string_view name) {
  CUSTOS_TRY(const auto n, o.optional_integer(name, 0, 0xFFFFFFFFLL));
  return n ? std::optional(static_cast<std::uint32_t>(*n)) : std::nullopt;
}

result<bytes> octets(json::object& o, std::string_view name, std::size_t bytes_max) {
  if (!o.has(name))
    return bytes();
  return o.hex(name, bytes_max);
}

result<host_verdict> read_verdict(json::object o) {
  host_verdict v;
  CUSTOS_TRY(v.at, number(o, "at"));
  CUSTOS_TRY(v.accepted, flag(o, "accepted"));
  CUSTOS_TRY(v.check, text(o, "check"));
  CUSTOS_TRY(v.message, text(o, "message"));
  CUSTOS_TRY(v.pcr, small(o, "pcr"));
  CUSTOS_TRY(v.event, small(o, "event"));
  CUSTOS_TRY(v.retryable, flag(o, "retryable"));
  CUSTOS_TRY(v.authentic, flag(o, "authentic"));
  CUSTOS_TRY(v.image, text(o, "image"));
  CUSTOS_TRY(v.image_version, text(o, "image_version"));
  CUSTOS_TRY(const auto findings, o.array("findings", lists_max, true));
  for (const auto& item : findings) {
    CUSTOS_TRY(auto f, item.as_object());
    audit_finding one;
    CUSTOS_TRY(one.check, text(f, "check"));
    CUSTOS_TRY(one.message, text(f, "message"));
    v.findings.push_back(std::move(one));
  }
  CUSTOS_TRY(const auto watched, o.array("watched_images", lists_max, true));
  for (const auto& item : watched) {
    CUSTOS_TRY(auto w, item.as_object());
    CUSTOS_TRY(auto name, text(w, "image"));
    CUSTOS_TRY(const auto matches, flag(w, "matches"));
    v.watched_images.emplace_back(std::move(name), matches);
  }
  return v;
}

result<host_record> read_record(std::string_view host, std::string_view document) {
  CUSTOS_TRY(auto o, json::parse_object(document, record_bytes_max));
  host_record r;
  r.host = std::string(host);
  CUSTOS_TRY(r.ak_name, octets(o, "ak_name", name_bytes_max));
  CUSTOS_TRY(const auto clock, number(o, "clock"));
  r.clock = static_cast<std::uint64_t>(clock);
  CUSTOS_TRY(const auto resets, small(o, "reset_count"));
  r.reset_count = resets.value_or(0);
  CUSTOS_TRY(const auto restarts, small(o, "restart_count"));
  r.restart_count = restarts.value_or(0);
  CUSTOS_TRY(r.first_seen_in_boot, number(o, "first_seen_in_boot"));
  CUSTOS_TRY(r.last_attested, number(o, "last_attested"));
  CUSTOS_TRY(r.failed_since, number(o, "failed_since"));
  CUSTOS_TRY(r.evidence_sha256, octets(o, "evidence_sha256", 32));
  CUSTOS_TRY(auto last, o.optional_child("last"));
  if (last) {
    CUSTOS_TRY(r.last, read_verdict(*std::move(last)));
  }
  return r;
}

result<kept_evidence> read_kept(std::string_view host, std::string_view document) {
  CUSTOS_TRY(auto o, json::parse_object(document, kept_evidence_bytes_max));
  kept_evidence e;
  e.host = std::string(host);
  CUSTOS_TRY(e.at, number(o, "at"));
  CUSTOS_TRY(e.ak_certificate, o.base64url("ak_certificate", kept_evidence_bytes_max));
  CUSTOS_TRY(e.event_log, o.base64url("event_log", kept_evidence_bytes_max));
  CUSTOS_TRY(auto ima, o.optional_base64url("ima_log", kept_evidence_bytes_max));
  e.ima_log = std::move(ima).value_or(bytes());
  CUSTOS_TRY(const auto resets, small(o, "reset_count"));
  e.reset_count = resets.value_or(0);
  CUSTOS_TRY(const auto pcrs, o.array("pcrs", pcr_values_max));
  for (const auto& item : pcrs) {
    CUSTOS_TRY(auto p, item.as_object());
    pcr_value v;
    CUSTOS_TRY(const auto bank, p.integer("bank", 0, 0xFFFF));
    v.bank = static_cast<std::uint16_t>(bank);
    CUSTOS_TRY(const auto pcr, p.integer("pcr", 0, 23));
    v.pcr = static_cast<std::uint32_t>(pcr);
    CUSTOS_TRY(v.value, p.hex("value", 64));
    e.pcrs.push_back(std::move(v));
  }
  return e;
}

template <class T>
result<T> stored(std::string_view host, result<T> r) {
  if (!r)
    return make_error(errc::corrupted, "record of host " + std::string(host) + ": " +
                                           r.failure().field + " " + r.failure().message);
  return r;
}

} // namespace

std::string encode_record(const host_record& r) {
  bj::object out{{"ak_name", crypto::hex(r.ak_name)},
                 {"clock", static_cast<std::int64_t>(r.clock & 0x7FFFFFFFFFFFFFFFULL)},
                 {"reset_count", r.reset_count},
                 {"restart_count", r.restart_count},
                 {"first_seen_in_boot", r.first_seen_in_boot},
                 {"last_attested", r.last_attested},
                 {"failed_since", r.failed_since},
                 {"last", json_of_verdict(r.last)}};
  if (!r.evidence_sha256.empty())
    out["evidence_sha256"] = crypto::hex(r.evidence_sha256);
  return bj::serialize(out);
}

result<host_record> decode_record(std::string_view host, std::string_view document) {
  return stored(host, read_record(host, document));
}

std::string encode_kept_evidence(const kept_evidence& e) {
  bj::array pcrs;
  for (const auto& v : e.pcrs)
    pcrs.emplace_back(
        bj::object{{"bank", v.bank}, {"pcr", v.pcr}, {"value", crypto::hex(v.value)}});
  bj::object out{{"at", e.at},
                 {"ak_certificate", crypto::base64url(e.ak_certificate)},
                 {"event_log", crypto::base64url(e.event_log)},
                 {"reset_count", e.reset_count},
                 {"pcrs", std::move(pcrs)}};
  if (!e.ima_log.empty())
    out["ima_log"] = crypto::base64url(e.ima_log);
  return bj::serialize(out);
}

result<kept_evidence> decode_kept_evidence(std::string_view host, std::string_view document) {
  return stored(host, read_kept(host, document));
}

bj::object json_of(const host_record& r) {
  return {{"host", r.host},
          {"verdict", json_of_verdict(r.last)},
          {"last_attested", r.last_attested},
          {"failed_since", r.failed_since},
          {"first_seen_in_boot", r.first_seen_in_boot},
          {"ak_name", crypto::hex(r.ak_name)},
          {"evidence_kept", !r.evidence_sha256.empty()}};
}

} // namespace custos::attestation

#include "actors/attestation/manual_check.hpp"

#include "actors/attestation/image_match.hpp"

#include <algorithm>

namespace custos::attestation {

namespace {

constexpr std::string_view pem_begin = "-----BEGIN ";
constexpr std::uint32_t ima_pcr = 10;

template <class T>
result<T> about(const char* field, result<T> r) {
  if (!r)
    r.failure().field = field;
  return r;
}

class judge {
public:
  explicit judge(const manual_evidence& e) : e_(e) {}

  result<std::vector<check_outcome>> run() {
    CUSTOS_TRY(const auto signature, about("signature", tpm::parse_signature(e_.signature)));
    CUSTOS_CHECK(read_ak(signature));
    auto quote = tpm::parse_quote(e_.quote); // 4, 5
    if (!quote) {
      if (quote.failure().check == "quote-malformed")
        return about("quote", result<std::vector<check_outcome>>(quote.failure()));
      tell(quote.failure());
      return std::move(told_);
    }
    passed("quote-magic");
    passed("quote-type");
    tell("quote-signature",
         tpm::verify_quote_signature(ak_, e_.quote, signature, e_.allow_sha1)); // 6
    if (!e_.nonce.empty() && crypto::equal(quote->extra_data, e_.nonce))        // 7
      passed("quote-binding");
    else
      failed("quote-binding",
             "the quote is over " +
                 (quote->extra_data.empty() ? "no nonce" : crypto::hex(quote->extra_data)));
    check_hashes(*quote);
    CUSTOS_CHECK(check_values(*quote, ak_.scheme->hash));
    return std::move(told_);
  }

private:
  void passed(std::string check) { told_.push_back({std::move(check), {}, {}, {}, {}}); }
  void skipped(std::string check, std::string why) {
    told_.push_back({std::move(check), check_verdict::skipped, std::move(why), {}, {}});
  }
  void failed(std::string check, std::string why, std::optional<std::uint32_t> pcr = {}) {
    told_.push_back({std::move(check), check_verdict::failed, std::move(why), pcr, {}});
  }
  void tell(const error& e) {
    told_.push_back({e.check, check_verdict::failed, e.message, e.pcr, e.event});
  }
  void tell(const char* check, const result<void>& r) {
    if (r)
      passed(check);
    else
      tell(r.failure());
  }

  result<void> read_ak(const tpm::signature& signature) {
    if (to_string_view(e_.ak).substr(0, pem_begin.size()) == pem_begin) {
      CUSTOS_TRY(ak_.key, about("ak", crypto::public_key_from_pem(e_.ak)));
      ak_.type =
          ak_.key.type() == crypto::key_type::rsa ? tpm::object_type::rsa : tpm::object_type::ecc;
      ak_.scheme = tpm::signing_scheme{signature.alg, signature.hash};
      skipped("attestation-key", "a PEM key does not say its attributes and scheme");
      return {};
    }
    CUSTOS_TRY(ak_, about("ak", tpm::parse_public(e_.ak)));
    tell("attestation-key", tpm::check_attestation_key(ak_, e_.allow_sha1));
    if (!ak_.scheme) // told already; the signature's own scheme lets the other checks be made
      ak_.scheme = tpm::signing_scheme{signature.alg, signature.hash};
    return {};
  }

  static std::string_view to_string_view(const bytes& b) {
    return {reinterpret_cast<const char*>(b.data()), b.size()};
  }

  void check_hashes(const tpm::attest& quote) {
    for (const auto& s : quote.selection)
      if (s.bank == crypto::hash_alg::sha1 && !e_.allow_sha1)
        return failed("pcr-selection", "the quote is over the SHA-1 bank, which is not allowed");
  }

  /// Checks 10, 12, 9, 13 and 14.
  result<void> check_values(const tpm::attest& quote, crypto::hash_alg hash) {
    std::optional<eventlog::parsed_log> log;
    if (e_.event_log) {
      auto parsed = eventlog::parse(*e_.event_log);
      if (!parsed)
        return about("event log", result<void>(parsed.failure()));
      log = *std::move(parsed);
    }
    if (e_.pcrs) {
      for (const auto& v : *e_.pcrs)
        if (is_selected(quote, v))
          values_.push_back(v);
      if (!check_digest(quote, hash, "pcr-digest", "the PCR values are not those quoted")) {
        skipped("event-log-replay", "the PCR values are not those of the selection");
        return {};
      }
    } else {
      skipped("pcr-digest", "no PCR values were given");
    }
    if (!log) {
      skipped("event-log-replay", "no event log was given");
      return {};
    }
    if (!log->crypto_agile && !e_.allow_sha1)
      failed("event-log-malformed", "the event log has the old SHA-1 form, which is not allowed");
    else
      passed("event-log-malformed");
    return check_log(quote, hash, *log);
  }

  static bool is_selected(const tpm::attest& quote, const pcr_value& v) {
    return v.pcr < tpm::pcrs_max &&
           std::any_of(quote.selection.begin(), quote.selection.end(), [&](const auto& s) {
             return static_cast<std::uint16_t>(s.bank) == v.bank && ((s.mask >> v.pcr) & 1U) != 0;
           });
  }

  /// False: the values are not one for each PCR selected, so nothing more can be said of them.
  bool check_digest(const tpm::attest& quote, crypto::hash_alg hash, const char* check,
                    const char* why) {
    const auto digest = tpm::pcr_composite_digest(hash, quote.selection, values_);
    if (!digest) {
      tell(digest.failure());
      return false;
    }
    if (crypto::equal(*digest, quote.pcr_digest))
      passed(check);
    else
      failed(check, why);
    return true;
  }

  result<void> check_log(const tpm::attest& quote, crypto::hash_alg hash,
                         const eventlog::parsed_log& log) {
    std::vector<crypto::hash_alg> banks;
    for (const auto& s : quote.selection) {
      if (!log.bank_index(s.bank)) {
        failed("pcr-bank", "the event log has no bank " + std::string(crypto::to_string(s.bank)));
        return {};
      }
      banks.push_back(s.bank);
    }
    auto replayed = eventlog::replay(log, banks);
    if (!replayed)
      return about("event log", result<void>(replayed.failure()));
    if (e_.pcrs)
      compare(*replayed);
    else
      replay_is_quoted(quote, hash, *replayed);
    check_banks(quote);
    check_data(quote, log);
    return {};
  }

  /// What the log leads to against the values that were shown. IMA extends PCR 10 after boot: what
  /// no boot log can explain is told as such, and is not verified.
  void compare(const eventlog::replayed& replayed) {
    bool ima = false;
    for (const auto& v : values_) {
      const auto alg = static_cast<crypto::hash_alg>(v.bank);
      const auto& bank = *replayed.find(alg);
      const auto claimed = bank.value(v.pcr);
      if (std::equal(claimed.begin(), claimed.end(), v.value.begin(), v.value.end()))
        continue;
      if (v.pcr == ima_pcr && ((bank.touched >> ima_pcr) & 1U) == 0) {
        ima = true;
        continue;
      }
      return failed("event-log-replay",
                    "the event log does not lead to the value of PCR " + std::to_string(v.pcr) +
                        " in bank " + std::string(crypto::to_string(alg)),
                    v.pcr);
    }
    passed("event-log-replay");
    if (ima)
      told_.push_back({"ima-log",
                       check_verdict::skipped,
                       "PCR 10 was extended after boot; no boot log explains its value",
                       ima_pcr,
                       {}});
  }

  /// The same where only the log was given: its values are the quoted ones, or they are not.
  void replay_is_quoted(const tpm::attest& quote, crypto::hash_alg hash,
                        const eventlog::replayed& replayed) {
    for (const auto& s : quote.selection)
      for (std::uint32_t pcr = 0; pcr < tpm::pcrs_max; ++pcr)
        if (((s.mask >> pcr) & 1U) != 0)
          values_.push_back({static_cast<std::uint16_t>(s.bank), pcr,
                             to_bytes(replayed.find(s.bank)->value(pcr))});
    check_digest(quote, hash, "event-log-replay",
                 "the event log does not lead to the quoted values");
  }

  void check_banks(const tpm::attest& quote) {
    for (const auto& bank : quoted_banks(quote, values_))
      if (auto extended = check_extended(bank); !extended)
        return tell(extended.failure());
    passed("pcr-bank");
  }

  void check_data(const tpm::attest& quote, const eventlog::parsed_log& log) {
    for (const auto& s : quote.selection)
      if (auto data = check_event_data(s.mask, s.bank, log); !data)
        return tell(data.failure());
    passed("event-data");
  }

  const manual_evidence& e_;
  tpm::public_area ak_;
  std::vector<pcr_value> values_; ///< of the selection: shown, or what the log leads to
  std::vector<check_outcome> told_;
};

} // namespace

std::string_view to_string(check_verdict v) {
  switch (v) {
  case check_verdict::passed:
    return "passed";
  case check_verdict::failed:
    return "failed";
  case check_verdict::skipped:
    break;
  }
  return "skipped";
}

result<std::vector<check_outcome>> check_manually(const manual_evidence& e) {
  return judge(e).run();
}

} // namespace custos::attestation

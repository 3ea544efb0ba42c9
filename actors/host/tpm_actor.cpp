#include "actors/host/tpm_actor.hpp"

#include "actors/host/logs.hpp"
#include "messages/caf_error.hpp"

namespace custos::host {

namespace {

/// CONFIG_IMA_MEASURE_PCR_IDX.
constexpr std::uint32_t ima_pcr_mask = 1U << 10U;

class tpm_actor : public tpm_api::base {
public:
  tpm_actor(caf::actor_config& config, tpm_options options)
      : tpm_api::base(config), options_(std::move(options)) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "tpm"; }

  tpm_api::behavior_type make_behavior() override {
    return {
        [this](const get_tpm_identity& g) { return answer(identity(g)); },
        [this](const activate_credential& c) { return answer(activate(c)); },
        [this](const make_quote& q) { return answer(quote(q)); },
    };
  }

private:
  /// Whatever it was, begin anew: with the TPM, and with the key if the TPM no longer knows it.
  template <class T>
  caf::result<T> answer(result<T> r) {
    if (!r && (r.failure().code == errc::tpm_failure || r.failure().code == errc::corrupted)) {
      device_.reset();
      ak_.reset();
    }
    return to_caf(std::move(r));
  }

  result<tpm::host_tpm*> device() {
    if (!device_) {
      CUSTOS_TRY(device_, tpm::host_tpm::open(options_.tcti, options_.ek));
    }
    if (!ak_) {
      CUSTOS_TRY(ak_, keep_ak(*device_, options_.ak, options_.say));
      CUSTOS_TRY(ak_name_, ak_name_of(*ak_));
    }
    return device_.get();
  }

  result<tpm_identity> identity(const get_tpm_identity& g) {
    CUSTOS_TRY(auto* const d, device());
    tpm_identity out;
    CUSTOS_TRY(out.ak_public, tpm::host_tpm::ak_public(*ak_));
    out.ak_name = ak_name_;
    if (g.ak_only)
      return out;
    CUSTOS_TRY(auto credentials, d->read_ek_credentials());
    out.ek_certificate = std::move(credentials.certificate);
    out.ek_intermediates = std::move(credentials.intermediates);
    CUSTOS_TRY(out.ek_public, d->ek_public());
    return out;
  }

  result<credential_activated> activate(const activate_credential& c) {
    CUSTOS_TRY(auto* const d, device());
    CUSTOS_TRY(auto secret, d->activate_credential(*ak_, c.credential_blob, c.encrypted_secret));
    return credential_activated{std::make_shared<const crypto::secret_bytes>(std::move(secret))};
  }

  result<quote_made> quote(const make_quote& q) {
    CUSTOS_TRY(auto* const d, device());
    std::error_code ignored;
    const bool measured =
        !options_.ima_log.empty() && std::filesystem::exists(options_.ima_log, ignored);
    CUSTOS_TRY(auto quoted,
               d->quote(*ak_, options_.pcrs | (measured ? ima_pcr_mask : 0), q.qualifying_data));
    quote_made out;
    out.quote = std::move(quoted.quote);
    out.signature = std::move(quoted.signature);
    out.pcrs = std::move(quoted.pcrs);
    out.boot = {quoted.clock.reset_count, quoted.clock.restart_count};
    out.ak_name = ak_name_;
    CUSTOS_TRY(out.event_log, read_event_log(options_.event_log));
    if (measured)
      add_ima_log(q, out);
    return out;
  }

  /// After the quote, so that the log covers what was quoted. A node that needs it says so.
  void add_ima_log(const make_quote& q, quote_made& out) {
    auto log = read_ima_log(options_.ima_log);
    if (!log)
      return say_ima(log.failure().message);
    out.ima_log = *std::move(log);
    if (q.ima_first != 0 && q.ima_resets == out.boot.reset_count) {
      // A log that does not read is sent whole: the node says what is wrong with it.
      if (auto rest = ima_log_from(out.ima_log, q.ima_first)) {
        out.ima_log = *std::move(rest);
        out.ima_first = q.ima_first;
      }
    }
    if (out.ima_log.size() <= ima_sent_bytes_max)
      return;
    out.ima_log.clear();
    out.ima_first = 0;
    say_ima("IMA log " + options_.ima_log.string() + ": expected at most " +
            std::to_string(ima_sent_bytes_max) + " bytes that were not judged yet");
  }

  void say_ima(const std::string& what) const {
    if (options_.say)
      options_.say("host.ima_log_not_sent", what);
  }

  tpm_options options_;
  std::unique_ptr<tpm::host_tpm> device_;
  std::optional<tpm::ak_blob> ak_;
  bytes ak_name_;
};

} // namespace

tpm_api spawn_tpm(caf::actor_system& system, tpm_options options) {
  return system.spawn<tpm_actor, caf::detached>(std::move(options));
}

} // namespace custos::host

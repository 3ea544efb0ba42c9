#pragma once
// The key provider actor's class, private to its two sources: key_provider_actor.cpp (set-up,
// sessions, administration) and key_release_actor.cpp (what hosts ask, and the answers).

#include "actors/keyprovider/ciphertext.hpp"
#include "actors/keyprovider/key_provider_actor.hpp"
#include "actors/keyprovider/provider_session_actor.hpp"

#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace custos::keyprovider {

/// One call of a host, from the gate to the answer.
struct key_job {
  std::string action; ///< of the audit record
  std::string actor;
  std::string remote;
  std::string provider;
  std::string detail;
  config_ptr config; ///< the snapshot the whole call is judged by
  grant who;
  bytes context;
  std::uint32_t key_bytes = 0; ///< generate
  kek_ciphertext parsed;       ///< decrypt
  bytes ciphertext;            ///< decrypt: as given
  caf::typed_response_promise<key_released> promise;
};
using job_ptr = std::shared_ptr<key_job>;
using session_ptr = std::shared_ptr<provider_session>;

class key_provider_actor : public key_provider_self::base {
public:
  key_provider_actor(caf::actor_config& cfg, key_provider_dependencies given);
  const char* name() const override { return "key_provider"; }
  key_provider_self::behavior_type make_behavior() override;
  void on_exit() override;

private:
  // Configuration and sessions.
  config_ptr present_config();
  [[nodiscard]] session_limits limits_of(const key_provider& provider) const;
  result<session_ptr> session_of(const std::string& name);
  void forget_group(const caf::actor_addr& gone);

  /// The gate, without what it remembers of tokens whose key was taken away.
  gate& present_gate();

  // Answers: nothing leaves before it is on record.
  void put_on_record(audit_record record, std::function<void(bool on_record)> then);
  /// `told` is what the host learns, `why` what the audit log learns.
  void refuse(const job_ptr& j, error told, std::string why);
  void refuse(const job_ptr& j, error e);
  void release(const job_ptr& j, bytes ciphertext, const crypto::secret_bytes& key);

  // What hosts ask.
  template <class Call>
  bool pass(const job_ptr& j, const Call& call, std::string action);
  caf::result<key_released> on_generate(const generate_key& call);
  void generate(const job_ptr& j, const session_ptr& session, const key_provider& provider);
  void generate_local(const job_ptr& j, const std::string& id, const crypto::secret_bytes& key);
  void generate_remote(const job_ptr& j, const session_ptr& session, const std::string& id);
  void seal(const job_ptr& j, const ciphertext_identity& identity, const wrapped_key& wrapped,
            const crypto::secret_bytes& fresh);
  caf::result<key_released> on_decrypt(const decrypt_key& call);
  void open_local(const job_ptr& j, const session_ptr& session);
  void open_remote(const job_ptr& j, const session_ptr& session);
  void open_in_vain(const job_ptr& j, const result<kmip::decrypted_data>& opened);
  void open(const job_ptr& j, const crypto::secret_bytes& fresh);
  caf::result<std::vector<provider_status>> on_list(const list_providers& call);

  // Administration.
  void record_administration(std::string action, const std::string& provider, const error* failed,
                             std::string detail);
  caf::result<client_certificate_made> on_make_certificate(const make_client_certificate& call);
  caf::result<kmip::key_created> on_create_key(const create_primary_key& call);
  caf::result<std::vector<peer_certificate>>
  on_peer_certificates(const get_peer_certificates& call);
  caf::result<provider_status_report> on_status(const get_provider_status& call);

  key_provider_dependencies given_;
  config_reader config_;
  config_ptr applied_; ///< the snapshot that sessions_ agree with
  gate gate_;
  std::uint64_t token_keys_seen_ = 0;
  std::map<std::string, session_ptr> sessions_;
  std::unordered_set<job_ptr> in_flight_;
};

} // namespace custos::keyprovider

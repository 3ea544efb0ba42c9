#pragma once
// The key provider actor's class, private to its sources: key_provider_actor.cpp (set-up, sessions,
// administration), key_release_actor.cpp (what hosts ask, and the answers) and key_rewrap_actor.cpp
// (many ciphertexts in one call).

#include "actors/keyprovider/ciphertext.hpp"
#include "actors/keyprovider/key_provider_actor.hpp"
#include "actors/keyprovider/key_wrapping_actor.hpp"
#include "actors/keyprovider/provider_session_actor.hpp"
#include "actors/keyprovider/recipients.hpp"

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
  /// Answers the host, once. The JWE of a key_released is empty where no key leaves.
  std::function<void(result<key_released>)> answer;
};
using job_ptr = std::shared_ptr<key_job>;

/// A call with many ciphertexts, on its way.
struct rewrap_batch {
  job_ptr job;
  session_ptr session;
  std::string primary_key_id; ///< the present one
  std::vector<rewrap_item> items;
  std::vector<rewrapped_key> outcomes;
  std::int64_t started = 0; ///< unix seconds
  std::size_t next = 0;     ///< the first item that was not begun
  std::size_t running = 0;
  bool stepping = false; ///< step_rewrap is on the stack
  std::string first_refusal;
  std::function<void(result<keys_rewrapped>)> answer;
};
using batch_ptr = std::shared_ptr<rewrap_batch>;

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
  void release(const job_ptr& j, bytes ciphertext, std::string jwe);
  [[nodiscard]] error not_on_record() const;

  // What hosts ask.
  template <class Call>
  bool pass(const job_ptr& j, const Call& call, std::string action);
  void count_use(const std::string& provider, const std::string& primary_key_id, counted_use use);
  caf::result<key_released> on_generate(const generate_key& call);
  caf::result<key_released> on_decrypt(const decrypt_key& call);
  caf::result<key_encrypted> on_encrypt(const encrypt_key& call);
  result<crypto::secret_ptr> open_own_key(const encrypt_key& call) const;
  void seal(const job_ptr& j, crypto::secret_ptr key, bool to_host);
  result<std::string> jwe_for(const key_job& j, const crypto::secret_bytes& key);
  caf::result<std::vector<provider_status>> on_list(const list_providers& call);

  // Many at once.
  caf::result<keys_rewrapped> on_rewrap(const rewrap_keys& call);
  void step_rewrap(const batch_ptr& b);
  void go_on_rewrapping(const batch_ptr& b);
  void rewrap_one(const batch_ptr& b, std::size_t i);
  void settle(const batch_ptr& b, std::size_t i, rewrapped_key outcome, std::string why);
  void finish_rewrap(const batch_ptr& b);

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
  recipients recipients_;
  std::uint64_t token_keys_seen_ = 0;
  std::map<std::string, session_ptr> sessions_;
  std::unordered_set<job_ptr> in_flight_;
};

} // namespace custos::keyprovider

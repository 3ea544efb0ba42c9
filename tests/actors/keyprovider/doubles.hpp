#pragma once
// Counterparts of the key provider actor in its tests: a key server that computes, and an audit log
// that can be told to hesitate or fail.

#include "actors/keyprovider/administration.hpp"
#include "messages/caf_error.hpp"
#include "messages/interfaces.hpp"

#include <caf/all.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace custos::test {

/// What the group of a provider finds behind it; shared with the test.
struct key_server_double {
  struct held_key {
    crypto::secret_ptr key;
    std::string state = "Active";
  };
  std::map<std::string, held_key> keys;
  kmip::capabilities can{1, 4, {0x1F, 0x20}, "double"};
  bool gcm = true;
  bool away = false;   ///< answers unavailable at once, as a group with an open circuit does
  bool silent = false; ///< never answers
  bool refuses_client = false; ///< ends every connection after the handshake
  std::size_t get_key_calls = 0, get_state_calls = 0, capability_calls = 0;
  std::size_t encrypt_calls = 0, decrypt_calls = 0, create_calls = 0;
  std::size_t groups_spawned = 0, groups_ended = 0;
  std::vector<std::string> created_names;

  void add(const std::string& id, std::string state = "Active") {
    keys[id] = {std::make_shared<const crypto::secret_bytes>(crypto::random_secret(32)),
                std::move(state)};
  }
};
using key_server_ptr = std::shared_ptr<key_server_double>;

inline error kmip_refusal(std::string check) {
  auto e = make_error(errc::kmip_failure, "the key server refused");
  e.check = std::move(check);
  return e;
}

class kmip_double : public kmip_api::base {
public:
  kmip_double(caf::actor_config& cfg, key_server_ptr server)
      : kmip_api::base(cfg), server_(std::move(server)) {
    set_default_handler(caf::drop);
    ++server_->groups_spawned;
  }
  void on_exit() override { ++server_->groups_ended; }

  kmip_api::behavior_type make_behavior() override {
    return {
        [this](const kmip::get_capabilities&) -> caf::result<kmip::capabilities> {
          ++server_->capability_calls;
          return answer<kmip::capabilities>([this] { return server_->can; });
        },
        [this](const kmip::get_key& call) -> caf::result<kmip::key_material> {
          ++server_->get_key_calls;
          return answer<kmip::key_material>([&]() -> result<kmip::key_material> {
            CUSTOS_TRY(const auto* held, find(call.unique_identifier));
            return kmip::key_material{held->key};
          });
        },
        [this](const kmip::encrypt_data& call) -> caf::result<kmip::encrypted_data> {
          ++server_->encrypt_calls;
          return answer<kmip::encrypted_data>([&] { return encrypt(call); });
        },
        [this](const kmip::decrypt_data& call) -> caf::result<kmip::decrypted_data> {
          ++server_->decrypt_calls;
          return answer<kmip::decrypted_data>([&] { return decrypt(call); });
        },
        [this](const kmip::get_key_state& call) -> caf::result<kmip::key_state> {
          ++server_->get_state_calls;
          return answer<kmip::key_state>([&]() -> result<kmip::key_state> {
            CUSTOS_TRY(const auto* held, find(call.unique_identifier));
            return kmip::key_state{held->state};
          });
        },
        [this](const kmip::create_key& call) -> caf::result<kmip::key_created> {
          ++server_->create_calls;
          return answer<kmip::key_created>([&]() -> result<kmip::key_created> {
            server_->created_names.push_back(call.name);
            return kmip::key_created{"new-key"};
          });
        },
        [this](const kmip::get_server_status&) -> caf::result<std::vector<key_server_status>> {
          key_server_status s;
          s.server = "kms";
          const bool answers = !server_->away && !server_->refuses_client;
          s.health = answers ? "ok" : "error";
          s.client_trust_server = !server_->away;
          s.server_trust_client = answers;
          s.protocol_version = server_->away ? "" : "1.4";
          return std::vector{s};
        },
    };
  }

private:
  template <class Out, class Make>
  caf::result<Out> answer(Make make) {
    if (server_->silent) // a promise that is dropped is never answered
      return make_response_promise<Out>();
    if (server_->away || server_->refuses_client) {
      auto e = make_error(errc::unavailable, "no key server can be asked");
      e.retry_after_s = 7;
      return to_caf(std::move(e));
    }
    result<Out> made = make();
    return to_caf(std::move(made));
  }

  result<const key_server_double::held_key*> find(const std::string& id) const {
    const auto found = server_->keys.find(id);
    if (found == server_->keys.end())
      return make_error(errc::not_found, "Item Not Found");
    return &found->second;
  }

  result<kmip::encrypted_data> encrypt(const kmip::encrypt_data& call) {
    CUSTOS_TRY(const auto* held, find(call.unique_identifier));
    if (held->state != "Active")
      return kmip_refusal("kmip-wrong-key-lifecycle-state");
    const auto key = held->key->reveal_secret();
    kmip::encrypted_data out;
    out.gcm = server_->gcm;
    if (!server_->gcm) {
      out.iv = crypto::random_bytes(16);
      CUSTOS_TRY(out.ciphertext,
                 crypto::aes_cbc_encrypt(key, out.iv, call.plaintext->reveal_secret()));
      return out;
    }
    out.iv = crypto::random_bytes(12);
    CUSTOS_TRY(const auto sealed,
               crypto::aes256_gcm_seal(key, out.iv, call.aad, call.plaintext->reveal_secret()));
    out.ciphertext = sealed.ciphertext;
    out.tag = bytes(sealed.tag.begin(), sealed.tag.end());
    return out;
  }

  result<kmip::decrypted_data> decrypt(const kmip::decrypt_data& call) {
    CUSTOS_TRY(const auto* held, find(call.unique_identifier));
    if (held->state != "Active" && held->state != "Deactivated")
      return kmip_refusal("kmip-wrong-key-lifecycle-state");
    const auto key = held->key->reveal_secret();
    const auto& data = call.data;
    auto opened = data.gcm
                      ? crypto::aes256_gcm_open(key, data.iv, call.aad, data.ciphertext, data.tag)
                      : crypto::aes_cbc_decrypt(key, data.iv, data.ciphertext);
    if (!opened)
      return kmip_refusal("kmip-cryptographic-failure");
    return kmip::decrypted_data{std::make_shared<const crypto::secret_bytes>(*std::move(opened))};
  }

  key_server_ptr server_;
};

/// What the audit log got; shared with the test.
struct audit_double_state {
  std::vector<audit_record> records;
  bool fail = false;
  bool hold = false; ///< acknowledges only when asked to drain
};
using audit_state_ptr = std::shared_ptr<audit_double_state>;

class audit_double : public audit_api::base {
public:
  audit_double(caf::actor_config& cfg, audit_state_ptr state)
      : audit_api::base(cfg), state_(std::move(state)) {
    set_default_handler(caf::drop);
  }

  void on_exit() override { held_.clear(); }

  audit_api::behavior_type make_behavior() override {
    return {
        [this](const audit_record& record) { state_->records.push_back(record); },
        [this](const audit_append& call) -> caf::result<audit_appended> {
          if (state_->fail)
            return to_caf(make_error(errc::storage_failure, "disk full"));
          state_->records.push_back(call.record);
          auto promise = make_response_promise<audit_appended>();
          if (state_->hold)
            held_.push_back(promise);
          else
            promise.deliver(audit_appended{state_->records.size()});
          return promise;
        },
        [this](drain) -> caf::result<drained> {
          for (auto& promise : held_)
            promise.deliver(audit_appended{1});
          held_.clear();
          return drained{};
        },
    };
  }

private:
  audit_state_ptr state_;
  std::vector<caf::typed_response_promise<audit_appended>> held_;
};

} // namespace custos::test

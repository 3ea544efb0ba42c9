#include "runtime/provider_secrets.hpp"

#include "adapters/crypto/x509.hpp"
#include "cluster/config_codec.hpp"
#include "cluster/sealing.hpp"

namespace custos::runtime {

namespace {

using cluster::client_private_key_use;
using store_ptr = std::shared_ptr<cluster::node_store>;

result<bytes> seal_private_key(const cluster::node_store& store, const std::string& provider,
                               const crypto::secret_bytes& pem) {
  auto key = crypto::private_key_from_pem(pem.reveal_secret());
  if (!key)
    return field_error(errc::invalid_argument, "/private_key", key.failure().message);
  CUSTOS_TRY(auto sealed, store.seals()->seal(key->pkcs8_der().reveal_secret(),
                                              client_private_key_use(provider)));
  return std::move(sealed.sealed);
}

result<std::size_t> match_private_key(const cluster::node_store& store, const std::string& provider,
                                      const std::string& pem,
                                      const std::vector<bytes>& sealed_keys) {
  const auto chain = crypto::certificates_from_pem(as_bytes(pem));
  if (!chain || chain->empty())
    return field_error(errc::invalid_argument, "/certificate",
                       "expected PEM certificates, the client's own first" +
                           (chain ? std::string() : ": " + chain.failure().message));
  const auto wanted = chain->front().public_key();
  for (std::size_t i = 0; i < sealed_keys.size(); ++i) {
    CUSTOS_TRY(const auto opened,
               store.seals()->open({sealed_keys[i]}, client_private_key_use(provider)));
    CUSTOS_TRY(const auto key, crypto::private_key_from_pkcs8(opened.reveal_secret()));
    if (wanted.same_public(key))
      return i;
  }
  return field_error(errc::invalid_argument, "/certificate",
                     "expected a certificate for a private key of this provider: for the request "
                     "made last, or with its own private_key");
}

} // namespace

keyprovider::seal_function seals_of(const store_ptr& store) {
  return [store](const crypto::secret_bytes& secret, std::string_view label) {
    return store->seals()->seal(secret.reveal_secret(), label);
  };
}

keyprovider::unseal_function opens_of(const store_ptr& store) {
  return [store](const sealed_secret& sealed, std::string_view label) {
    return store->seals()->open(sealed, label);
  };
}

void add_provider_secrets(gateway::node_ports& ports, const store_ptr& store,
                          const clock_source& now) {
  ports.seal_private_key = [store](const std::string& provider, const crypto::secret_bytes& pem) {
    return seal_private_key(*store, provider, pem);
  };
  ports.seal_password = [store](const std::string& provider,
                                const crypto::secret_bytes& password) -> result<bytes> {
    CUSTOS_TRY(auto sealed,
               store->seals()->seal(password.reveal_secret(), cluster::password_use(provider)));
    return std::move(sealed.sealed);
  };
  ports.match_private_key = [store](const std::string& provider, const std::string& pem,
                                    const std::vector<bytes>& sealed_keys) {
    return match_private_key(*store, provider, pem, sealed_keys);
  };
  ports.new_native_key = [seal = seals_of(store), now](const std::string& provider) {
    return keyprovider::make_native_key(provider, seal, now());
  };
}

keyprovider::rotation_api start_rotation(caf::actor_system& system, const store_ptr& store,
                                         rotation_parts parts) {
  keyprovider::rotation_dependencies given;
  given.config = std::move(parts.config);
  given.now = parts.now;
  given.leads = std::move(parts.leads);
  given.keys = parts.keys;
  given.config_store = parts.config_store;
  given.audit = std::move(parts.audit);
  given.make_native_key = [seal = seals_of(store), now = parts.now](const std::string& provider) {
    return keyprovider::make_native_key(provider, seal, now());
  };
  given.document_of = [](const key_provider& p) { return cluster::write_object(p); };
  given.problems = std::move(parts.problems);
  given.actor = "node:" + store->identity().name;
  return keyprovider::spawn_rotation(system, std::move(given));
}

} // namespace custos::runtime

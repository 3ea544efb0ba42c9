#pragma once
// The administration of providers, as far as it needs no actor. Pure.

#include "adapters/crypto/x509.hpp"
#include "messages/config.hpp"
#include "messages/keys.hpp"
#include "messages/kmip.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::keyprovider {

/// Label under which a provider's client private key is sealed, and must be unsealed:
/// "key-provider/NAME/client-private-key".
std::string client_private_key_label(std::string_view provider);

/// Seals a secret under the cluster data key for the given label.
using seal_function =
    std::function<result<sealed_secret>(const crypto::secret_bytes&, std::string_view label)>;

/// A new P-256 key for TLS client authentication: a self-signed certificate of CN "custos-NAME"
/// (valid from five minutes ago, for clocks that are behind, for `life_s` seconds), or a request
/// for one. The private key leaves only sealed.
result<client_certificate_made> make_client_key(const make_client_certificate& call,
                                                const seal_function& seal, std::int64_t now,
                                                std::uint32_t life_s);

/// Whether a server with these capabilities can encrypt and decrypt (KMIP 1.2, 4.29 and 4.30).
bool can_encrypt(const kmip::capabilities& server);

/// Health of a provider from its servers and the primary key's state: "ok" when every server
/// answers and the key is Active, "error" when no server answers or the key cannot be used at all,
/// else "warning".
std::string health_of(const std::vector<key_server_status>& servers, std::string_view key_state);

} // namespace custos::keyprovider

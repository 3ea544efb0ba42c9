#pragma once
// The typed interfaces of all actors, in one place. Every handler may also answer with a caf::error
// made by to_caf(custos::error).

#include "messages/type_ids.hpp"

namespace custos {

/// The node's replica of the ConfigStore. Detached: it keeps time for the others.
using config_store_api = caf::typed_actor<
    /// Answers when the command was applied on this node, and its snapshot is published; or with
    /// its refusal. errc::unavailable without a majority of the voters.
    caf::replies_to<config_command>::with<config_applied>,
    /// Revision, fingerprint, identity.
    caf::replies_to<get_config_status>::with<config_status>,
    /// One object's document; errc::not_found.
    caf::replies_to<get_config_object>::with<config_document>,
    /// All documents of a kind.
    caf::replies_to<list_config_objects>::with<config_documents>,
    caf::replies_to<get_config_state>::with<held_config_state>,
    caf::replies_to<await_configuration>::with<config_status>,
    caf::replies_to<change_membership>::with<membership_changed>,
    caf::replies_to<transfer_leadership>::with<config_status>,
    caf::replies_to<get_cluster_status>::with<cluster_status>,
    /// Hands leadership over if it leads, and answers when that is done or was given up.
    caf::replies_to<drain>::with<drained>,
    /// From threads of the link and of the disk, and from itself.
    caf::reacts_to<link_frame>, caf::reacts_to<posted_work>, caf::reacts_to<tick>>;

/// Attestation verifier, one per core; each handles one message at a time.
using verifier_api = caf::typed_actor<
    /// A fresh nonce and its ticket.
    caf::replies_to<make_challenge>::with<challenge>,
    /// EK trust, AK attributes, MakeCredential, AK certificate.
    caf::replies_to<attestation_key_request>::with<attestation_key_issued>,
    /// The appraisal; answers with the token or the check that failed.
    caf::replies_to<evidence>::with<attestation_granted>>;

/// Keeps on disk what is known of hosts, and judges kept evidence again. Detached: it reads and
/// writes files.
using host_records_api =
    caf::typed_actor<caf::reacts_to<host_record_changed>,
                     /// Erases record and evidence; no error if there are none.
                     caf::replies_to<forget_host>::with<json_document>,
                     /// errc::not_found where no evidence of the host is kept.
                     caf::replies_to<explain_host>::with<json_document>,
                     caf::replies_to<simulate_changes>::with<json_document>,
                     /// Writes what is pending.
                     caf::replies_to<drain>::with<drained>>;

/// The gatekeeper before the key servers.
using key_provider_api =
    caf::typed_actor<caf::replies_to<generate_key>::with<key_released>,
                     caf::replies_to<decrypt_key>::with<key_released>,
                     caf::replies_to<encrypt_key>::with<key_encrypted>,
                     /// One outcome for each ciphertext, whatever happens to the others.
                     caf::replies_to<rewrap_keys>::with<keys_rewrapped>,
                     caf::replies_to<list_providers>::with<std::vector<provider_status>>,
                     // administration, the caller is already authorised:
                     caf::replies_to<make_client_certificate>::with<client_certificate_made>,
                     caf::replies_to<create_primary_key>::with<kmip::key_created>,
                     caf::replies_to<get_peer_certificates>::with<std::vector<peer_certificate>>,
                     caf::replies_to<get_provider_status>::with<provider_status_report>>;

/// Keeps on disk how often primary keys were used. Detached: it writes files.
using use_records_api = caf::typed_actor<caf::reacts_to<tick>,
                                         /// Writes what is pending.
                                         caf::replies_to<drain>::with<drained>>;

/// One KMIP connection, or a group of servers: same questions.
using kmip_api = caf::typed_actor<
    caf::replies_to<kmip::get_capabilities>::with<kmip::capabilities>,
    caf::replies_to<kmip::get_key>::with<kmip::key_material>,
    caf::replies_to<kmip::encrypt_data>::with<kmip::encrypted_data>,
    caf::replies_to<kmip::decrypt_data>::with<kmip::decrypted_data>,
    caf::replies_to<kmip::get_key_state>::with<kmip::key_state>,
    caf::replies_to<kmip::create_key>::with<kmip::key_created>,
    /// Never an error: one entry a server.
    caf::replies_to<kmip::get_server_status>::with<std::vector<key_server_status>>>;

/// The coordinator's end of one node or host: keeps the connection, answers within the call's
/// timeout.
using host_proxy_api = caf::typed_actor<caf::replies_to<proxied_call>::with<proxied_answer>,
                                        /// From the proxy's own socket thread.
                                        caf::reacts_to<proxied_answer>>;

/// The host's TPM. Detached: the TPM blocks.
using tpm_api = caf::typed_actor<caf::replies_to<get_tpm_identity>::with<tpm_identity>,
                                 caf::replies_to<activate_credential>::with<credential_activated>,
                                 caf::replies_to<make_quote>::with<quote_made>>;

/// The host agent: keeps the host attested, asks for keys.
using host_agent_api =
    caf::typed_actor<caf::replies_to<host_services>::with<services_applied>,
                     caf::replies_to<clear_host_services>::with<services_applied>,
                     caf::replies_to<get_host_status>::with<host_status>,
                     /// Answers when the attempt has ended.
                     caf::replies_to<attest_now>::with<host_status>,
                     caf::replies_to<request_key>::with<key_ready>,
                     caf::replies_to<call_key_service>::with<key_service_answer>,
                     /// From timers and socket threads of its own.
                     caf::reacts_to<tick>, caf::reacts_to<deferred_call>>;

/// The host's own keys and ciphertexts: encrypts what consumers bring, brings files under a new
/// primary key. Detached: it reads and writes files.
using host_keys_api =
    caf::typed_actor<caf::replies_to<put_key>::with<key_put>,
                     /// Answers when the check, and what it found to do, is done.
                     caf::replies_to<rewrap_now>::with<rewrap_status>,
                     caf::replies_to<get_rewrap_status>::with<rewrap_status>, caf::reacts_to<tick>>;

/// Append-only audit log. Detached: it writes files.
using audit_api = caf::typed_actor<caf::reacts_to<audit_record>,
                                   /// Answered when the record is on disk, or with the reason why
                                   /// it is not: what must not happen unaudited is then not done.
                                   caf::replies_to<audit_append>::with<audit_appended>,
                                   /// Flushes; answered when everything before it is on disk.
                                   caf::replies_to<drain>::with<drained>>;

} // namespace custos

#pragma once
// The one place where message types meet CAF (append only: ids are positional). All of these stay
// inside a process: they are declared "unsafe", that is, they cannot be serialised at all, so a
// secret cannot leave by accident. Types that cross the node-to-node link get an inspect function
// and move to a block of their own.

#include "messages/attestation.hpp"
#include "messages/cluster.hpp"
#include "messages/config.hpp"
#include "messages/config_commands.hpp"
#include "messages/error.hpp"
#include "messages/host.hpp"
#include "messages/host_verdict.hpp"
#include "messages/keys.hpp"
#include "messages/kmip.hpp"
#include "messages/local.hpp"

#include <caf/all.hpp>

// NOLINTBEGIN
#define CUSTOS_LOCAL_TYPES(X)                                                                      \
  X(custos::error)                                                                                 \
  X(custos::attestation_key_request)                                                               \
  X(custos::attestation_key_issued)                                                                \
  X(custos::challenge)                                                                             \
  X(custos::evidence)                                                                              \
  X(custos::attestation_granted)                                                                   \
  X(custos::generate_key)                                                                          \
  X(custos::decrypt_key)                                                                           \
  X(custos::key_released)                                                                          \
  X(custos::list_providers)                                                                        \
  X(std::vector<custos::provider_status>)                                                          \
  X(custos::make_client_certificate)                                                               \
  X(custos::client_certificate_made)                                                               \
  X(custos::create_primary_key)                                                                    \
  X(custos::get_peer_certificates)                                                                 \
  X(std::vector<custos::peer_certificate>)                                                         \
  X(custos::get_provider_status)                                                                   \
  X(custos::provider_status_report)                                                                \
  X(custos::config_command)                                                                        \
  X(custos::config_applied)                                                                        \
  X(custos::get_config_status)                                                                     \
  X(custos::config_status)                                                                         \
  X(custos::kmip::get_key)                                                                         \
  X(custos::kmip::key_material)                                                                    \
  X(custos::kmip::encrypt_data)                                                                    \
  X(custos::kmip::encrypted_data)                                                                  \
  X(custos::kmip::decrypt_data)                                                                    \
  X(custos::kmip::decrypted_data)                                                                  \
  X(custos::kmip::get_capabilities)                                                                \
  X(custos::kmip::capabilities)                                                                    \
  X(custos::kmip::get_key_state)                                                                   \
  X(custos::kmip::key_state)                                                                       \
  X(custos::kmip::create_key)                                                                      \
  X(custos::kmip::key_created)                                                                     \
  X(custos::make_challenge)                                                                        \
  X(custos::audit_record)                                                                          \
  X(custos::socket_event)                                                                          \
  X(custos::tick)                                                                                  \
  X(custos::drain)                                                                                 \
  X(custos::drained)                                                                               \
  X(custos::deferred_call)                                                                         \
  X(custos::kmip::get_server_status)                                                               \
  X(std::vector<custos::key_server_status>)                                                        \
  X(custos::audit_append)                                                                          \
  X(custos::audit_appended)                                                                        \
  X(custos::get_config_object)                                                                     \
  X(custos::list_config_objects)                                                                   \
  X(custos::config_document)                                                                       \
  X(custos::config_documents)                                                                      \
  X(custos::proxied_call)                                                                          \
  X(custos::proxied_answer)                                                                        \
  X(custos::peer_certificate)                                                                      \
  X(custos::get_tpm_identity)                                                                      \
  X(custos::tpm_identity)                                                                          \
  X(custos::activate_credential)                                                                   \
  X(custos::credential_activated)                                                                  \
  X(custos::make_quote)                                                                            \
  X(custos::quote_made)                                                                            \
  X(custos::host_services)                                                                         \
  X(custos::clear_host_services)                                                                   \
  X(custos::services_applied)                                                                      \
  X(custos::attest_now)                                                                            \
  X(custos::get_host_status)                                                                       \
  X(custos::host_status)                                                                           \
  X(custos::request_key)                                                                           \
  X(custos::key_ready)                                                                             \
  X(custos::explain_host)                                                                          \
  X(custos::simulate_changes)                                                                      \
  X(custos::json_document)                                                                         \
  X(custos::host_record_changed)                                                                   \
  X(custos::forget_host)                                                                           \
  X(custos::link_frame)                                                                            \
  X(custos::posted_work)                                                                           \
  X(custos::get_config_state)                                                                      \
  X(custos::held_config_state)                                                                     \
  X(custos::await_configuration)                                                                   \
  X(custos::change_membership)                                                                     \
  X(custos::membership_changed)                                                                    \
  X(custos::transfer_leadership)                                                                   \
  X(custos::get_cluster_status)                                                                    \
  X(custos::cluster_status)                                                                        \
  X(custos::encrypt_key)                                                                           \
  X(custos::key_encrypted)                                                                         \
  X(custos::rewrap_keys)                                                                           \
  X(custos::keys_rewrapped)                                                                        \
  X(custos::put_key)                                                                               \
  X(custos::key_put)                                                                               \
  X(custos::call_key_service)                                                                      \
  X(custos::key_service_answer)                                                                    \
  X(custos::rewrap_now)                                                                            \
  X(custos::get_rewrap_status)                                                                     \
  X(custos::rewrap_status)

#define CUSTOS_UNSAFE(type) CAF_ALLOW_UNSAFE_MESSAGE_TYPE(type)
CUSTOS_LOCAL_TYPES(CUSTOS_UNSAFE)
#undef CUSTOS_UNSAFE

CAF_BEGIN_TYPE_ID_BLOCK(custos, caf::first_custom_type_id)
#define CUSTOS_ID(type) CAF_ADD_TYPE_ID(custos, (type))
CUSTOS_LOCAL_TYPES(CUSTOS_ID)
#undef CUSTOS_ID
CAF_END_TYPE_ID_BLOCK(custos)
// NOLINTEND

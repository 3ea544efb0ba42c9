#pragma once
// Numbers of KMIP and their names (KMIP 1.4, 9.1.3; 2.1, 11): the tags and enumerations Custos
// uses or may meet in messages it reads. A number without a name here is legal and passes through.

#include <cstdint>
#include <string>
#include <string_view>

namespace custos::kmip {

/// X(identifier, number, name as in the specification), in the order of numbers.
// NOLINTBEGIN
#define CUSTOS_KMIP_TAGS(X)                                                                        \
  X(activation_date, 0x420001, "Activation Date")                                                  \
  X(application_namespace, 0x420003, "Application Namespace")                                      \
  X(asynchronous_correlation_value, 0x420006, "Asynchronous Correlation Value")                    \
  X(asynchronous_indicator, 0x420007, "Asynchronous Indicator")                                    \
  X(attribute, 0x420008, "Attribute")                                                              \
  X(attribute_index, 0x420009, "Attribute Index")                                                  \
  X(attribute_name, 0x42000A, "Attribute Name")                                                    \
  X(attribute_value, 0x42000B, "Attribute Value")                                                  \
  X(authentication, 0x42000C, "Authentication")                                                    \
  X(batch_count, 0x42000D, "Batch Count")                                                          \
  X(batch_error_continuation_option, 0x42000E, "Batch Error Continuation Option")                  \
  X(batch_item, 0x42000F, "Batch Item")                                                            \
  X(batch_order_option, 0x420010, "Batch Order Option")                                            \
  X(block_cipher_mode, 0x420011, "Block Cipher Mode")                                              \
  X(compromise_occurrence_date, 0x420021, "Compromise Occurrence Date")                            \
  X(credential, 0x420023, "Credential")                                                            \
  X(credential_type, 0x420024, "Credential Type")                                                  \
  X(credential_value, 0x420025, "Credential Value")                                                \
  X(criticality_indicator, 0x420026, "Criticality Indicator")                                      \
  X(cryptographic_algorithm, 0x420028, "Cryptographic Algorithm")                                  \
  X(cryptographic_length, 0x42002A, "Cryptographic Length")                                        \
  X(cryptographic_parameters, 0x42002B, "Cryptographic Parameters")                                \
  X(cryptographic_usage_mask, 0x42002C, "Cryptographic Usage Mask")                                \
  X(deactivation_date, 0x42002F, "Deactivation Date")                                              \
  X(digest, 0x420034, "Digest")                                                                    \
  X(encryption_key_information, 0x420036, "Encryption Key Information")                            \
  X(hashing_algorithm, 0x420038, "Hashing Algorithm")                                              \
  X(initial_date, 0x420039, "Initial Date")                                                        \
  X(iv_counter_nonce, 0x42003D, "IV/Counter/Nonce")                                                \
  X(key, 0x42003F, "Key")                                                                          \
  X(key_block, 0x420040, "Key Block")                                                              \
  X(key_compression_type, 0x420041, "Key Compression Type")                                        \
  X(key_format_type, 0x420042, "Key Format Type")                                                  \
  X(key_material, 0x420043, "Key Material")                                                        \
  X(key_value, 0x420045, "Key Value")                                                              \
  X(key_wrapping_data, 0x420046, "Key Wrapping Data")                                              \
  X(key_wrapping_specification, 0x420047, "Key Wrapping Specification")                            \
  X(last_change_date, 0x420048, "Last Change Date")                                                \
  X(lease_time, 0x420049, "Lease Time")                                                            \
  X(link, 0x42004A, "Link")                                                                        \
  X(link_type, 0x42004B, "Link Type")                                                              \
  X(linked_object_identifier, 0x42004C, "Linked Object Identifier")                                \
  X(mac_signature, 0x42004D, "MAC/Signature")                                                      \
  X(mac_signature_key_information, 0x42004E, "MAC/Signature Key Information")                      \
  X(maximum_items, 0x42004F, "Maximum Items")                                                      \
  X(maximum_response_size, 0x420050, "Maximum Response Size")                                      \
  X(message_extension, 0x420051, "Message Extension")                                              \
  X(name, 0x420053, "Name")                                                                        \
  X(name_type, 0x420054, "Name Type")                                                              \
  X(name_value, 0x420055, "Name Value")                                                            \
  X(object_group, 0x420056, "Object Group")                                                        \
  X(object_type, 0x420057, "Object Type")                                                          \
  X(operation, 0x42005C, "Operation")                                                              \
  X(padding_method, 0x42005F, "Padding Method")                                                    \
  X(protocol_version, 0x420069, "Protocol Version")                                                \
  X(protocol_version_major, 0x42006A, "Protocol Version Major")                                    \
  X(protocol_version_minor, 0x42006B, "Protocol Version Minor")                                    \
  X(query_function, 0x420074, "Query Function")                                                    \
  X(request_header, 0x420077, "Request Header")                                                    \
  X(request_message, 0x420078, "Request Message")                                                  \
  X(request_payload, 0x420079, "Request Payload")                                                  \
  X(response_header, 0x42007A, "Response Header")                                                  \
  X(response_message, 0x42007B, "Response Message")                                                \
  X(response_payload, 0x42007C, "Response Payload")                                                \
  X(result_message, 0x42007D, "Result Message")                                                    \
  X(result_reason, 0x42007E, "Result Reason")                                                      \
  X(result_status, 0x42007F, "Result Status")                                                      \
  X(revocation_message, 0x420080, "Revocation Message")                                            \
  X(revocation_reason, 0x420081, "Revocation Reason")                                              \
  X(revocation_reason_code, 0x420082, "Revocation Reason Code")                                    \
  X(key_role_type, 0x420083, "Key Role Type")                                                      \
  X(secret_data, 0x420085, "Secret Data")                                                          \
  X(server_information, 0x420088, "Server Information")                                            \
  X(state, 0x42008D, "State")                                                                      \
  X(storage_status_mask, 0x42008E, "Storage Status Mask")                                          \
  X(symmetric_key, 0x42008F, "Symmetric Key")                                                      \
  X(template_attribute, 0x420091, "Template-Attribute")                                            \
  X(time_stamp, 0x420092, "Time Stamp")                                                            \
  X(unique_batch_item_id, 0x420093, "Unique Batch Item ID")                                        \
  X(unique_identifier, 0x420094, "Unique Identifier")                                              \
  X(usage_limits, 0x420095, "Usage Limits")                                                        \
  X(usage_limits_count, 0x420096, "Usage Limits Count")                                            \
  X(usage_limits_total, 0x420097, "Usage Limits Total")                                            \
  X(usage_limits_unit, 0x420098, "Usage Limits Unit")                                              \
  X(username, 0x420099, "Username")                                                                \
  X(vendor_extension, 0x42009C, "Vendor Extension")                                                \
  X(vendor_identification, 0x42009D, "Vendor Identification")                                      \
  X(wrapping_method, 0x42009E, "Wrapping Method")                                                  \
  X(password, 0x4200A1, "Password")                                                                \
  X(device_identifier, 0x4200A2, "Device Identifier")                                              \
  X(encoding_option, 0x4200A3, "Encoding Option")                                                  \
  X(extension_information, 0x4200A4, "Extension Information")                                      \
  X(machine_identifier, 0x4200A9, "Machine Identifier")                                            \
  X(media_identifier, 0x4200AA, "Media Identifier")                                                \
  X(network_identifier, 0x4200AB, "Network Identifier")                                            \
  X(object_group_member, 0x4200AC, "Object Group Member")                                          \
  X(device_serial_number, 0x4200B0, "Device Serial Number")                                        \
  X(original_creation_date, 0x4200BC, "Original Creation Date")                                    \
  X(data, 0x4200C2, "Data")                                                                        \
  X(random_iv, 0x4200C5, "Random IV")                                                              \
  X(attestation_type, 0x4200C7, "Attestation Type")                                                \
  X(nonce, 0x4200C8, "Nonce")                                                                      \
  X(nonce_id, 0x4200C9, "Nonce ID")                                                                \
  X(nonce_value, 0x4200CA, "Nonce Value")                                                          \
  X(attestation_measurement, 0x4200CB, "Attestation Measurement")                                  \
  X(attestation_assertion, 0x4200CC, "Attestation Assertion")                                      \
  X(iv_length, 0x4200CD, "IV Length")                                                              \
  X(tag_length, 0x4200CE, "Tag Length")                                                            \
  X(fixed_field_length, 0x4200CF, "Fixed Field Length")                                            \
  X(counter_length, 0x4200D0, "Counter Length")                                                    \
  X(initial_counter_value, 0x4200D1, "Initial Counter Value")                                      \
  X(invocation_field_length, 0x4200D2, "Invocation Field Length")                                  \
  X(attestation_capable_indicator, 0x4200D3, "Attestation Capable Indicator")                      \
  X(offset_items, 0x4200D4, "Offset Items")                                                        \
  X(located_items, 0x4200D5, "Located Items")                                                      \
  X(correlation_value, 0x4200D6, "Correlation Value")                                              \
  X(init_indicator, 0x4200D7, "Init Indicator")                                                    \
  X(final_indicator, 0x4200D8, "Final Indicator")                                                  \
  X(profile_information, 0x4200EB, "Profile Information")                                          \
  X(capability_information, 0x4200F7, "Capability Information")                                    \
  X(key_wrap_type, 0x4200F8, "Key Wrap Type")                                                      \
  X(authenticated_encryption_additional_data, 0x4200FE,                                            \
    "Authenticated Encryption Additional Data")                                                    \
  X(authenticated_encryption_tag, 0x4200FF, "Authenticated Encryption Tag")                        \
  X(client_correlation_value, 0x420105, "Client Correlation Value")                                \
  X(server_correlation_value, 0x420106, "Server Correlation Value")                                \
  X(sensitive, 0x420120, "Sensitive")                                                              \
  X(always_sensitive, 0x420121, "Always Sensitive")                                                \
  X(extractable, 0x420122, "Extractable")                                                          \
  X(never_extractable, 0x420123, "Never Extractable")                                              \
  X(attributes, 0x420125, "Attributes")                                                            \
  X(attribute_reference, 0x42013B, "Attribute Reference")                                          \
  X(new_attribute, 0x42013D, "New Attribute")                                                      \
  X(protection_storage_mask, 0x42015E, "Protection Storage Mask")                                  \
  X(interop_function, 0x420160, "Interop Function")

#define CUSTOS_KMIP_OPERATIONS(X)                                                                  \
  X(create, 0x01, "Create")                                                                        \
  X(create_key_pair, 0x02, "Create Key Pair")                                                      \
  X(register_object, 0x03, "Register")                                                             \
  X(re_key, 0x04, "Re-key")                                                                        \
  X(derive_key, 0x05, "Derive Key")                                                                \
  X(locate, 0x08, "Locate")                                                                        \
  X(check, 0x09, "Check")                                                                          \
  X(get, 0x0A, "Get")                                                                              \
  X(get_attributes, 0x0B, "Get Attributes")                                                        \
  X(get_attribute_list, 0x0C, "Get Attribute List")                                                \
  X(add_attribute, 0x0D, "Add Attribute")                                                          \
  X(modify_attribute, 0x0E, "Modify Attribute")                                                    \
  X(delete_attribute, 0x0F, "Delete Attribute")                                                    \
  X(activate, 0x12, "Activate")                                                                    \
  X(revoke, 0x13, "Revoke")                                                                        \
  X(destroy, 0x14, "Destroy")                                                                      \
  X(query, 0x18, "Query")                                                                          \
  X(cancel, 0x19, "Cancel")                                                                        \
  X(poll, 0x1A, "Poll")                                                                            \
  X(discover_versions, 0x1E, "Discover Versions")                                                  \
  X(encrypt, 0x1F, "Encrypt")                                                                      \
  X(decrypt, 0x20, "Decrypt")                                                                      \
  X(sign, 0x21, "Sign")                                                                            \
  X(mac, 0x23, "MAC")                                                                              \
  X(rng_retrieve, 0x25, "RNG Retrieve")                                                            \
  X(import_object, 0x2A, "Import")                                                                 \
  X(export_object, 0x2B, "Export")

#define CUSTOS_KMIP_RESULT_REASONS(X)                                                              \
  X(item_not_found, 0x01, "Item Not Found")                                                        \
  X(response_too_large, 0x02, "Response Too Large")                                                \
  X(authentication_not_successful, 0x03, "Authentication Not Successful")                          \
  X(invalid_message, 0x04, "Invalid Message")                                                      \
  X(operation_not_supported, 0x05, "Operation Not Supported")                                      \
  X(missing_data, 0x06, "Missing Data")                                                            \
  X(invalid_field, 0x07, "Invalid Field")                                                          \
  X(feature_not_supported, 0x08, "Feature Not Supported")                                          \
  X(operation_canceled_by_requester, 0x09, "Operation Canceled By Requester")                      \
  X(cryptographic_failure, 0x0A, "Cryptographic Failure")                                          \
  X(illegal_operation, 0x0B, "Illegal Operation")                                                  \
  X(permission_denied, 0x0C, "Permission Denied")                                                  \
  X(object_archived, 0x0D, "Object Archived")                                                      \
  X(index_out_of_bounds, 0x0E, "Index Out of Bounds")                                              \
  X(application_namespace_not_supported, 0x0F, "Application Namespace Not Supported")              \
  X(key_format_type_not_supported, 0x10, "Key Format Type Not Supported")                          \
  X(key_compression_type_not_supported, 0x11, "Key Compression Type Not Supported")                \
  X(encoding_option_error, 0x12, "Encoding Option Error")                                          \
  X(key_value_not_present, 0x13, "Key Value Not Present")                                          \
  X(attestation_required, 0x14, "Attestation Required")                                            \
  X(attestation_failed, 0x15, "Attestation Failed")                                                \
  X(sensitive, 0x16, "Sensitive")                                                                  \
  X(not_extractable, 0x17, "Not Extractable")                                                      \
  X(object_already_exists, 0x18, "Object Already Exists")                                          \
  X(codec_error, 0x26, "Codec Error")                                                              \
  X(internal_server_error, 0x2A, "Internal Server Error")                                          \
  X(object_destroyed, 0x36, "Object Destroyed")                                                    \
  X(object_not_found, 0x37, "Object Not Found")                                                    \
  X(server_limit_exceeded, 0x3A, "Server Limit Exceeded")                                          \
  X(unsupported_protocol_version, 0x3F, "Unsupported Protocol Version")                            \
  X(wrong_key_lifecycle_state, 0x43, "Wrong Key Lifecycle State")                                  \
  X(general_failure, 0x100, "General Failure")

#define CUSTOS_KMIP_STATES(X)                                                                      \
  X(pre_active, 0x01, "Pre-Active")                                                                \
  X(active, 0x02, "Active")                                                                        \
  X(deactivated, 0x03, "Deactivated")                                                              \
  X(compromised, 0x04, "Compromised")                                                              \
  X(destroyed, 0x05, "Destroyed")                                                                  \
  X(destroyed_compromised, 0x06, "Destroyed Compromised")

#define CUSTOS_KMIP_ENUMERATOR(identifier, number, text) identifier = number,
/// A tag: three bytes, the first 42 (specification) or 54 (extension).
enum class tag : std::uint32_t { CUSTOS_KMIP_TAGS(CUSTOS_KMIP_ENUMERATOR) };
enum class operation : std::uint32_t { CUSTOS_KMIP_OPERATIONS(CUSTOS_KMIP_ENUMERATOR) };
/// none: the failure came without a reason.
enum class result_reason : std::uint32_t {
  none = 0,
  CUSTOS_KMIP_RESULT_REASONS(CUSTOS_KMIP_ENUMERATOR)
};
enum class state : std::uint32_t { CUSTOS_KMIP_STATES(CUSTOS_KMIP_ENUMERATOR) };
#undef CUSTOS_KMIP_ENUMERATOR
// NOLINTEND

/// KMIP 1.4, 9.1.1.2.
enum class item_type : std::uint8_t {
  structure = 0x01,
  integer,
  long_integer,
  big_integer,
  enumeration,
  boolean,
  text_string,
  byte_string,
  date_time,
  interval,
  date_time_extended, ///< KMIP 2.0
};

enum class result_status : std::uint32_t { success, operation_failed, operation_pending, undone };
enum class object_type : std::uint32_t { symmetric_key = 2, secret_data = 7 };
enum class algorithm : std::uint32_t { aes = 3 };
enum class key_format : std::uint32_t { raw = 1, transparent_symmetric_key = 7 };
enum class block_cipher_mode : std::uint32_t { cbc = 1, gcm = 9 };
enum class padding_method : std::uint32_t { none = 1, pkcs5 = 3 };
enum class credential_type : std::uint32_t { username_and_password = 1 };
enum class name_type : std::uint32_t { uninterpreted_text_string = 1 };
enum class query_function : std::uint32_t { operations = 1, objects, server_information };

/// Bits of the Cryptographic Usage Mask.
inline constexpr std::uint32_t usage_encrypt = 0x04;
inline constexpr std::uint32_t usage_decrypt = 0x08;

/// The name in the specification, or the number in hexadecimal if it has none here.
std::string to_string(tag t);
std::string to_string(operation o);
std::string to_string(result_reason r);
std::string to_string(state s);
std::string_view to_string(item_type t);

} // namespace custos::kmip

// What makes, finds, changes and ends keys, in the forms of KMIP 1.x and 2.x, against recorded
// sessions and the cases of OASIS.

#include "adapters/kmip/protocol.hpp"

#include "tests/unit/adapters/kmip/fake_server.hpp"
#include "tests/unit/adapters/kmip/vectors.hpp"

#include <gtest/gtest.h>
#include <map>

namespace custos::kmip {
namespace {

message_options in(protocol_version version) {
  message_options options;
  options.version = version;
  return options;
}

/// Without what not every client sends in its header.
void write_core(ttlv_writer& w, const ttlv_item& item) {
  if (item.name() == tag::maximum_response_size || item.name() == tag::client_correlation_value)
    return;
  if (item.type() != item_type::structure)
    return write_item(w, item);
  const ttlv_scope scope(w, item.name());
  for (const ttlv_item child : item.children())
    write_core(w, child);
}

bytes core_of(byte_view message) {
  ttlv_writer w;
  write_core(w, parse_ttlv(message).value());
  const auto out = w.take();
  return {out.begin(), out.end()};
}

bytes core_of(const request& r, protocol_version version) {
  const auto built = build_request(r, in(version));
  EXPECT_TRUE(built.ok()) << built.failure().message;
  return core_of(*built);
}

ttlv_item payload_of(byte_view message) {
  return parse_ttlv(message)->child(tag::batch_item)->child(tag::request_payload).value();
}

/// First message of each label of a recorded session; requests as "> LABEL".
std::map<std::string, bytes> recorded_session(const std::string& version) {
  std::map<std::string, bytes> out;
  for (const auto& m :
       testing::messages(testing::data_path("pykmip-0.10.0-capture/kmip-" + version + ".ttlv")))
    out.try_emplace((m.is_request ? "> " : "< ") + m.label, m.message);
  return out;
}

std::vector<bytes> oasis_case(const std::string& name) {
  std::vector<bytes> out;
  for (auto& m : testing::messages(testing::data_path("oasis-ttlv/" + name + ".ttlv")))
    out.push_back(std::move(m.message));
  return out;
}

template <class T>
T answer_to(const request& r, protocol_version version, byte_view message) {
  auto got = parse_response(r, in(version), message);
  EXPECT_TRUE(got.outcome.ok()) << (got.outcome.ok() ? "" : got.outcome.failure().message);
  return got.outcome.ok() ? std::get<T>(*std::move(got.outcome)) : T{};
}

crypto::secret_ptr secret(std::size_t octets) {
  return std::make_shared<const crypto::secret_bytes>(bytes(octets, 7));
}

revoke superseded(std::string id) {
  return {std::move(id), revocation_reason::superseded, {}};
}

constexpr protocol_version v10{1, 0};
constexpr protocol_version v14{1, 4};
constexpr protocol_version v20{2, 0};
constexpr protocol_version v21{2, 1};

TEST(KmipLifecycle, RequestsOf20AreThoseOfARealClient) {
  auto session = recorded_session("2.0");
  EXPECT_EQ(core_of(create_symmetric_key{"kek-2.0", 256, 0x3C}, v20), session["> CREATE"]);
  EXPECT_EQ(core_of(activate{"11"}, v20), session["> ACTIVATE"]);
  EXPECT_EQ(core_of(get_key{"11"}, v20), session["> GET"]);
  EXPECT_EQ(core_of(destroy{"11"}, v20), session["> DESTROY"]);
  EXPECT_EQ(core_of(discover_versions{{}}, v20), session["> DISCOVER_VERSIONS"]);
}

TEST(KmipLifecycle, ResponsesOf20OfARealServer) {
  auto session = recorded_session("2.0");
  EXPECT_EQ(answer_to<key_created>(create_symmetric_key{}, v20, session["< CREATE:SUCCESS"])
                .unique_identifier,
            "11");
  EXPECT_EQ(answer_to<key_state>(get_state{"11"}, v20, session["< GET_ATTRIBUTES:SUCCESS"]).state,
            "Pre-Active");
  const auto is =
      answer_to<key_attributes>(get_attributes{"11"}, v20, session["< GET_ATTRIBUTES:SUCCESS"]);
  EXPECT_EQ(is.algorithm, "AES");
  EXPECT_EQ(is.length_bits, 256U);
  EXPECT_EQ(is.object_type, "") << "was not asked for";
  EXPECT_EQ(
      answer_to<keys_found>(locate{"kek-2.0"}, v20, session["< LOCATE:SUCCESS"]).unique_identifiers,
      std::vector<std::string>{"11"});
  EXPECT_EQ(answer_to<key_material>(get_key{"11"}, v20, session["< GET:SUCCESS"]).key->size(), 32U);
  answer_to<revoked>(superseded("11"), v20, session["< REVOKE:SUCCESS"]);
  answer_to<destroyed>(destroy{"11"}, v20, session["< DESTROY:SUCCESS"]);
  // Another object than was asked.
  EXPECT_TRUE(parse_response(destroy{"12"}, in(v20), session["< DESTROY:SUCCESS"]).close);
  EXPECT_TRUE(
      parse_response(get_attributes{"12"}, in(v20), session["< GET_ATTRIBUTES:SUCCESS"]).close);
}

TEST(KmipLifecycle, TheSameInEveryVersionOf1) {
  for (const std::uint32_t minor : {0U, 1U, 2U, 3U, 4U}) {
    const protocol_version v{1, minor};
    auto session = recorded_session(to_string(v));
    const auto id = answer_to<key_created>(create_symmetric_key{}, v, session["< CREATE:SUCCESS"])
                        .unique_identifier;
    EXPECT_EQ(core_of(destroy{id}, v), session["> DESTROY"]);
    EXPECT_EQ(
        answer_to<keys_found>(locate{"any"}, v, session["< LOCATE:SUCCESS"]).unique_identifiers,
        std::vector{id});
    const auto is =
        answer_to<key_attributes>(get_attributes{id}, v, session["< GET_ATTRIBUTES:SUCCESS"]);
    EXPECT_EQ(is.state, "Pre-Active");
    EXPECT_EQ(is.algorithm, "AES");
    EXPECT_EQ(is.length_bits, 256U);
    answer_to<revoked>(superseded(id), v, session["< REVOKE:SUCCESS"]);
    answer_to<destroyed>(destroy{id}, v, session["< DESTROY:SUCCESS"]);
  }
}

TEST(KmipLifecycle, OasisSymmetricKeyLifecycleOf21) {
  const auto step = oasis_case("v2.1/SKLC-M-1-21");
  const std::string id = "fb4b5b9c-0000-4000-8000-000000000000";
  EXPECT_EQ(core_of(create_symmetric_key{"SKLC-M-1-21"}, v21), core_of(step.at(0)));
  EXPECT_EQ(answer_to<key_created>(create_symmetric_key{}, v21, step.at(1)).unique_identifier, id);
  const auto is = answer_to<key_attributes>(get_attributes{id}, v21, step.at(3));
  EXPECT_EQ(is.state, "Pre-Active");
  EXPECT_EQ(is.object_type, "Symmetric Key");
  EXPECT_EQ(is.algorithm, "AES");
  EXPECT_EQ(is.length_bits, 256U);
  EXPECT_EQ(is.usage_mask, usage_encrypt | usage_decrypt);
  EXPECT_EQ(core_of(destroy{id}, v21), core_of(step.at(4)));
  answer_to<destroyed>(destroy{id}, v21, step.at(5));
}

TEST(KmipLifecycle, OasisReKeyOf11) {
  std::size_t seen = 0;
  const auto messages = oasis_case("v1.1/TC_91_11_Create_a_Key_Re_key");
  for (std::size_t i = 0; i + 1 < messages.size(); i += 2) {
    const auto item = parse_ttlv(messages[i])->child(tag::batch_item).value();
    if (item.child(tag::operation)->as_enumeration().value() !=
        static_cast<std::uint32_t>(operation::re_key))
      continue;
    const std::string old(payload_of(messages[i]).child(tag::unique_identifier)->as_text().value());
    const protocol_version v11{1, 1};
    EXPECT_EQ(payload_of(*build_request(re_key{old}, in(v11)))
                  .child(tag::unique_identifier)
                  ->as_text()
                  .value(),
              old);
    const auto made = answer_to<key_created>(re_key{old}, v11, messages[i + 1]).unique_identifier;
    EXPECT_FALSE(made.empty());
    EXPECT_NE(made, old);
    EXPECT_TRUE(parse_response(re_key{made}, in(v11), messages[i + 1]).close)
        << "the new key cannot be the old one";
    ++seen;
  }
  EXPECT_EQ(seen, 1U);
}

/// What a vCenter 7.0.3 says to its key server: Discover Versions before all else, keys created,
/// described by attributes of its own, fetched and activated, all of it in 1.1.
TEST(KmipLifecycle, TheSequenceOfAVcenterIsUnderstood) {
  std::vector<std::string> asked;
  std::size_t with_id = 0;
  for (const auto& m :
       testing::messages(testing::data_path("vsphere-7.0.3-client/requests.ttlv"))) {
    const auto message = parse_ttlv(m.message).value();
    EXPECT_EQ(testing::fake_server::version_of(
                  message.child(tag::request_header)->child(tag::protocol_version).value()),
              (protocol_version{1, 1}));
    for (const ttlv_item item : message.children())
      if (item.name() == tag::batch_item) {
        with_id += item.child(tag::unique_batch_item_id) ? 1U : 0U;
        asked.push_back(to_string(
            static_cast<operation>(item.child(tag::operation)->as_enumeration().value())));
      }
  }
  EXPECT_EQ(with_id, asked.size() - 1) << "all but the first of all";
  EXPECT_EQ(asked, (std::vector<std::string>{"Discover Versions",
                                             "Discover Versions",
                                             "Query",
                                             "Create",
                                             "Get Attributes",
                                             "Get Attributes",
                                             "Get Attributes",
                                             "Get Attributes",
                                             "Add Attribute",
                                             "Add Attribute",
                                             "Add Attribute",
                                             "Get",
                                             "Activate",
                                             "Get Attributes",
                                             "Get Attributes",
                                             "Get Attributes",
                                             "Get Attributes",
                                             "Add Attribute",
                                             "Add Attribute",
                                             "Add Attribute",
                                             "Get",
                                             "Activate"}));
}

TEST(KmipLifecycle, ARegisteredKeyGoesWithItsAttributes) {
  const register_symmetric_key r{"ours", secret(16)};
  const auto old = build_request(r, in(v14)).value();
  const auto payload = payload_of(old);
  EXPECT_EQ(payload.child(tag::object_type)->as_enumeration().value(), 2U);
  std::vector<std::string> names;
  for (const ttlv_item a : payload.child(tag::template_attribute)->children())
    names.emplace_back(a.child(tag::attribute_name)->as_text().value());
  EXPECT_EQ(names, (std::vector<std::string>{"Cryptographic Usage Mask", "Name"}));
  const auto block = payload.child(tag::symmetric_key)->child(tag::key_block).value();
  EXPECT_EQ(block.child(tag::key_format_type)->as_enumeration().value(), 1U);
  EXPECT_EQ(block.child(tag::key_value)->child(tag::key_material)->as_octets()->size(), 16U);
  EXPECT_EQ(block.child(tag::cryptographic_length)->as_integer().value(), 128);

  const auto now = build_request(r, in(v20)).value();
  const auto attributes = payload_of(now).child(tag::attributes).value();
  EXPECT_EQ(attributes.child(tag::cryptographic_usage_mask)->as_integer().value(), 12);
  EXPECT_EQ(attributes.child(tag::name)->child(tag::name_value)->as_text().value(), "ours");
  EXPECT_FALSE(payload_of(now).child(tag::template_attribute).has_value());

  EXPECT_EQ(build_request(register_symmetric_key{"n", secret(17)}, in(v14)).failure().field,
            "Key Material");
  EXPECT_EQ(build_request(register_symmetric_key{"n", nullptr}, in(v14)).failure().code,
            errc::invalid_argument);
}

TEST(KmipLifecycle, LocateAsksForSymmetricKeysOfTheName) {
  const auto old = build_request(locate{"disk"}, in(v10)).value();
  EXPECT_EQ(payload_of(old).child(tag::maximum_items)->as_integer().value(), located_max);
  std::vector<std::string> names;
  for (const ttlv_item a : payload_of(old).children())
    if (a.name() == tag::attribute)
      names.emplace_back(a.child(tag::attribute_name)->as_text().value());
  EXPECT_EQ(names, (std::vector<std::string>{"Object Type", "Name"}));
  const auto now = build_request(locate{"disk"}, in(v21)).value();
  EXPECT_EQ(payload_of(now)
                .child(tag::attributes)
                ->child(tag::name)
                ->child(tag::name_value)
                ->as_text()
                .value(),
            "disk");
  EXPECT_EQ(build_request(locate{""}, in(v21)).failure().code, errc::invalid_argument);
}

TEST(KmipLifecycle, AttributesAreAskedForByNameOrByTag) {
  const auto old = build_request(get_state{"k"}, in(v14)).value();
  EXPECT_EQ(payload_of(old).child(tag::attribute_name)->as_text().value(), "State");
  const auto now = build_request(get_attributes{"k"}, in(v20)).value();
  std::vector<std::uint32_t> tags;
  for (const ttlv_item a : payload_of(now).children())
    if (a.name() == tag::attribute_reference)
      tags.push_back(a.as_enumeration().value());
  EXPECT_EQ(tags, (std::vector<std::uint32_t>{0x42008D, 0x420057, 0x420028, 0x42002A, 0x42002C}));
}

TEST(KmipLifecycle, OnlyACompromiseHasADate) {
  const auto compromise =
      build_request(revoke{"k", revocation_reason::key_compromise, "lost", 1700000000}, in(v14))
          .value();
  EXPECT_EQ(payload_of(compromise).child(tag::compromise_occurrence_date)->as_date_time().value(),
            1700000000);
  const auto reason = payload_of(compromise).child(tag::revocation_reason).value();
  EXPECT_EQ(reason.child(tag::revocation_reason_code)->as_enumeration().value(), 2U);
  EXPECT_EQ(reason.child(tag::revocation_message)->as_text().value(), "lost");
  const auto superseded =
      build_request(revoke{"k", revocation_reason::superseded, {}}, in(v14)).value();
  EXPECT_FALSE(payload_of(superseded).child(tag::compromise_occurrence_date).has_value());
  EXPECT_EQ(
      build_request(revoke{"k", revocation_reason::superseded, "\xff"}, in(v14)).failure().field,
      "Revocation Message");
}

TEST(KmipLifecycle, WhatMakesOrEndsAKeyMustNotBeRepeated) {
  EXPECT_FALSE(is_idempotent(register_symmetric_key{}));
  EXPECT_FALSE(is_idempotent(re_key{}));
  EXPECT_FALSE(is_idempotent(revoke{}));
  EXPECT_FALSE(is_idempotent(destroy{}));
  EXPECT_TRUE(is_idempotent(locate{}));
  EXPECT_TRUE(is_idempotent(get_attributes{}));
}

TEST(KmipLifecycle, AVersionNobodyWroteDownIsNotSpoken) {
  for (const protocol_version v : {protocol_version{1, 5}, protocol_version{2, 2},
                                   protocol_version{3, 0}, protocol_version{0, 9}})
    EXPECT_EQ(build_request(get_key{"k"}, in(v)).failure().code, errc::unsupported);
}

TEST(KmipLifecycle, AnAnswerOfANewerMajorVersionIsRefused) {
  testing::fake_server server;
  const auto as20 = server.answer(*build_request(destroy{"k"}, in(v20)));
  EXPECT_TRUE(parse_response(destroy{"k"}, in(v20), as20).outcome.ok());
  EXPECT_TRUE(parse_response(destroy{"k"}, in(v14), as20).close);
  const auto as14 = server.answer(*build_request(destroy{"k"}, in(v14)));
  EXPECT_TRUE(parse_response(destroy{"k"}, in(v20), as14).outcome.ok()) << "older is fine";
}

TEST(KmipLifecycle, TheFinerReasonsOf2AreUnderstood) {
  testing::fake_server server;
  const auto refused = [&](result_reason reason) {
    server.failing[operation::get] = reason;
    return parse_response(get_key{"k"}, in(v20),
                          server.answer(*build_request(get_key{"k"}, in(v20))))
        .outcome.failure();
  };
  EXPECT_EQ(refused(result_reason::object_not_found).code, errc::not_found);
  EXPECT_EQ(refused(result_reason::object_destroyed).code, errc::not_found);
  EXPECT_EQ(refused(result_reason::non_unique_name_attribute).code, errc::already_exists);
  EXPECT_EQ(refused(result_reason::object_already_exists).code, errc::already_exists);
  EXPECT_EQ(refused(result_reason::key_wrap_type_not_supported).code, errc::unsupported);
  EXPECT_TRUE(refused(result_reason::server_limit_exceeded).retryable);
  const auto state = refused(result_reason::wrong_key_lifecycle_state);
  EXPECT_EQ(state.code, errc::kmip_failure);
  EXPECT_EQ(state.check, "kmip-wrong-key-lifecycle-state");
  EXPECT_FALSE(state.retryable);
  EXPECT_EQ(refused(static_cast<result_reason>(0x7777)).check, "kmip-0x00007777");
}

TEST(KmipLifecycle, TooManyObjectsAreRefused) {
  ttlv_writer w;
  {
    const ttlv_scope message(w, tag::response_message);
    w.open(tag::response_header);
    w.open(tag::protocol_version);
    w.integer(tag::protocol_version_major, 1);
    w.integer(tag::protocol_version_minor, 4);
    w.close();
    w.integer(tag::batch_count, 1);
    w.close();
    const ttlv_scope item(w, tag::batch_item);
    w.enumeration(tag::operation, operation::locate);
    w.enumeration(tag::result_status, result_status::success);
    const ttlv_scope payload(w, tag::response_payload);
    for (std::size_t i = 0; i <= listed_max; ++i)
      w.text(tag::unique_identifier, std::to_string(i + 1));
  }
  EXPECT_TRUE(parse_response(locate{"n"}, in(v14), w.take()).close);
}

} // namespace
} // namespace custos::kmip

#include "adapters/kmip/protocol.hpp"

#include "tests/unit/adapters/kmip/vectors.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

namespace custos::kmip {
namespace {

using testing::unhex;

message_options without_id(std::uint32_t minor) {
  message_options options;
  options.version = {1, minor};
  return options;
}

/// A request as we build it, without Maximum Response Size: recorded clients do not send it.
bytes plain(const request& r, std::uint32_t minor) {
  const auto built = build_request(r, without_id(minor));
  EXPECT_TRUE(built.ok());
  const bytes all(built->begin(), built->end());
  const bytes size_item = unhex("42005002000000040001000000000000");
  const auto at = std::search(all.begin(), all.end(), size_item.begin(), size_item.end());
  EXPECT_NE(at, all.end());
  bytes out(all.begin(), at);
  out.insert(out.end(), at + 16, all.end());
  out[6] = static_cast<std::uint8_t>((out.size() - 8) >> 8U); // lengths of message and header
  out[7] = static_cast<std::uint8_t>(out.size() - 8);
  out[15] = static_cast<std::uint8_t>(out[15] - 16);
  return out;
}

crypto::secret_ptr secret(byte_view octets) {
  return std::make_shared<const crypto::secret_bytes>(octets);
}

using capture = std::map<std::string, bytes>;

/// First message of each label of a recorded session; requests as "> LABEL".
capture recorded_session(const std::string& version) {
  capture out;
  for (const auto& m :
       testing::messages(testing::data_path("pykmip-0.10.0-capture/kmip-" + version + ".ttlv")))
    out.try_emplace((m.is_request ? "> " : "< ") + m.label, m.message);
  return out;
}

TEST(KmipRequests, AreThoseOfARealClient) {
  for (std::uint32_t minor : {0U, 1U, 2U, 3U, 4U}) {
    auto session = recorded_session("1." + std::to_string(minor));
    const auto created =
        parse_response(create_symmetric_key{}, without_id(minor), session["< CREATE:SUCCESS"]);
    const std::string id = std::get<key_created>(*created.outcome).unique_identifier;
    EXPECT_EQ(plain(get_key{id}, minor), session["> GET"]);
    EXPECT_EQ(plain(activate{id}, minor), session["> ACTIVATE"]);
    EXPECT_EQ(plain(create_symmetric_key{"kek-1." + std::to_string(minor), 256, 0x3C}, minor),
              session["> CREATE"]);
    if (minor > 0) {
      EXPECT_EQ(plain(discover_versions{{}}, minor), session["> DISCOVER_VERSIONS"]);
    }
  }
}

TEST(KmipRequests, CarryVersionSizeCredentialAndBatchItemId) {
  message_options options = without_id(4);
  options.id = batch_item_id{1, 2, 3, 4, 5, 6, 7, 8};
  options.username = "kps";
  options.password = secret(as_bytes("s3cret"));
  const auto built = build_request(get_key{"k1"}, options);
  ASSERT_TRUE(built.ok());
  const auto message = parse_ttlv(*built);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->name(), tag::request_message);
  const auto header = message->child(tag::request_header).value();
  EXPECT_EQ(header.child(tag::maximum_response_size)->as_integer().value(), 65536);
  EXPECT_EQ(header.child(tag::batch_count)->as_integer().value(), 1);
  EXPECT_FALSE(header.child(tag::time_stamp).has_value());
  const auto credential = header.child(tag::authentication)->child(tag::credential).value();
  EXPECT_EQ(credential.child(tag::credential_type)->as_enumeration().value(), 1U);
  const auto value = credential.child(tag::credential_value).value();
  EXPECT_EQ(value.child(tag::username)->as_text().value(), "kps");
  EXPECT_EQ(value.child(tag::password)->as_text().value(), "s3cret");
  const auto item = message->child(tag::batch_item).value();
  EXPECT_EQ(to_bytes(item.child(tag::unique_batch_item_id)->as_octets().value()),
            unhex("0102030405060708"));
}

TEST(KmipRequests, EncryptIsGcmFrom14AndCbcBefore) {
  const encrypt_data asked{"k1", secret(unhex("00112233")), unhex("aabb")};
  const auto parameters = [&](std::uint32_t minor, bool& aad) {
    const auto built = build_request(asked, without_id(minor)).value();
    const auto payload = parse_ttlv(built)->child(tag::batch_item)->child(tag::request_payload);
    aad = payload->child(tag::authenticated_encryption_additional_data).has_value();
    const auto p = payload->child(tag::cryptographic_parameters).value();
    const auto iv_bits = p.child(tag::iv_length);
    return std::tuple(
        p.child(tag::block_cipher_mode)->as_enumeration().value(),
        p.child(tag::random_iv)->as_boolean().value(), iv_bits ? iv_bits->as_integer().value() : 0,
        p.child(tag::tag_length) ? p.child(tag::tag_length)->as_integer().value() : 0);
  };
  bool aad = false;
  EXPECT_EQ(parameters(4, aad), std::tuple(9U, true, 96, 16));
  EXPECT_TRUE(aad);
  EXPECT_EQ(parameters(2, aad), std::tuple(1U, true, 0, 0));
  EXPECT_FALSE(aad);
}

TEST(KmipRequests, WhatAVersionDoesNotHaveIsNotSent) {
  const encrypt_data encrypt{"k", secret(unhex("00")), {}};
  decrypt_data decrypt{"k", {true, bytes(12), bytes(1), bytes(16)}, {}};
  EXPECT_EQ(build_request(encrypt, without_id(1)).failure().code, errc::unsupported);
  EXPECT_TRUE(build_request(encrypt, without_id(2)).ok());
  EXPECT_EQ(build_request(decrypt, without_id(3)).failure().code, errc::unsupported);
  EXPECT_TRUE(build_request(decrypt, without_id(4)).ok());
  decrypt.data.gcm = false;
  EXPECT_TRUE(build_request(decrypt, without_id(2)).ok());
  EXPECT_EQ(build_request(discover_versions{}, without_id(0)).failure().code, errc::unsupported);
  EXPECT_EQ(build_request(get_key{""}, without_id(4)).failure().code, errc::invalid_argument);
  EXPECT_EQ(build_request(get_key{std::string(256, 'x')}, without_id(4)).failure().code,
            errc::invalid_argument);
  EXPECT_EQ(build_request(activate{"\xff"}, without_id(4)).failure().code, errc::invalid_argument);
  message_options tight = without_id(4);
  tight.limits.message_bytes = 128;
  EXPECT_EQ(build_request(encrypt_data{"k", secret(bytes(256)), {}}, tight).failure().code,
            errc::too_large);
}

TEST(KmipRequests, OnlyCreateAndActivateMustNotBeRepeated) {
  EXPECT_FALSE(is_idempotent(create_symmetric_key{}));
  EXPECT_FALSE(is_idempotent(activate{}));
  EXPECT_TRUE(is_idempotent(get_key{}));
  EXPECT_TRUE(is_idempotent(encrypt_data{}));
  EXPECT_TRUE(is_idempotent(query{}));
}

// ---- responses of PyKMIP ------------------------------------------------------------------------

TEST(KmipResponses, OfARealServerAreRead) {
  for (std::uint32_t minor : {0U, 1U, 2U, 3U, 4U}) {
    auto session = recorded_session("1." + std::to_string(minor));
    const auto options = without_id(minor);
    const auto create =
        parse_response(create_symmetric_key{}, options, session["< CREATE:SUCCESS"]);
    ASSERT_TRUE(create.outcome.ok());
    const std::string id = std::get<key_created>(*create.outcome).unique_identifier;

    const auto get = parse_response(get_key{id}, options, session["< GET:SUCCESS"]);
    ASSERT_TRUE(get.outcome.ok()) << get.outcome.failure().message;
    EXPECT_EQ(std::get<key_material>(*get.outcome).key->size(), 32U);

    const auto state = parse_response(get_state{id}, options, session["< GET_ATTRIBUTES:SUCCESS"]);
    ASSERT_TRUE(state.outcome.ok());
    EXPECT_EQ(std::get<key_state>(*state.outcome).state, "Pre-Active");

    const auto done = parse_response(activate{id}, options, session["< ACTIVATE:SUCCESS"]);
    ASSERT_TRUE(done.outcome.ok());
    EXPECT_EQ(std::get<activated>(*done.outcome).unique_identifier, id);

    const auto asked = parse_response(query{}, options, session["< QUERY:SUCCESS"]);
    ASSERT_TRUE(asked.outcome.ok());
    const auto& what = std::get<query_answer>(*asked.outcome);
    EXPECT_EQ(what.server_information, "PyKMIP 0.10.0 Software Server");
    EXPECT_NE(std::find(what.operations.begin(), what.operations.end(), 0x0AU),
              what.operations.end());
  }
}

TEST(KmipResponses, DiscoverVersions) {
  auto session = recorded_session("1.4");
  const auto r =
      parse_response(discover_versions{}, without_id(4), session["< DISCOVER_VERSIONS:SUCCESS"]);
  ASSERT_TRUE(r.outcome.ok());
  const auto& versions = std::get<versions_supported>(*r.outcome).versions;
  ASSERT_EQ(versions.size(), 6U);
  EXPECT_EQ(versions[0], (protocol_version{2, 0}));
  EXPECT_EQ(versions[1], (protocol_version{1, 4}));
  auto oldest = recorded_session("1.0");
  const auto refused =
      parse_response(discover_versions{}, without_id(1),
                     oldest["< DISCOVER_VERSIONS:OPERATION_FAILED:OPERATION_NOT_SUPPORTED"]);
  EXPECT_EQ(refused.outcome.failure().code, errc::unsupported);
  EXPECT_EQ(refused.reason, result_reason::operation_not_supported);
}

TEST(KmipResponses, RefusalsSayWhat) {
  auto session = recorded_session("1.4");
  const auto twice = parse_response(activate{"9"}, without_id(4),
                                    session["< ACTIVATE:OPERATION_FAILED:PERMISSION_DENIED"]);
  EXPECT_EQ(twice.outcome.failure().code, errc::kmip_failure);
  EXPECT_EQ(twice.outcome.failure().check, "kmip-permission-denied");
  EXPECT_EQ(twice.outcome.failure().message,
            "the key server refused Activate: Permission Denied (The object state is not "
            "pre-active and cannot be activated.)");
  EXPECT_FALSE(twice.close);
  const auto gone =
      parse_response(get_key{"9"}, without_id(4), session["< GET:OPERATION_FAILED:ITEM_NOT_FOUND"]);
  EXPECT_EQ(gone.outcome.failure().code, errc::not_found);
  EXPECT_EQ(gone.outcome.failure().check, "kmip-item-not-found");
}

/// The GCM answer was recorded with an IV of the client's; a server that chooses it sends it.
TEST(KmipResponses, EncryptAndDecryptGcm) {
  const auto answer_with = [](bool with_iv, std::size_t tag_bytes) {
    ttlv_writer w;
    {
      const ttlv_scope message(w, tag::response_message);
      w.open(tag::response_header);
      w.open(tag::protocol_version);
      w.integer(tag::protocol_version_major, 1);
      w.integer(tag::protocol_version_minor, 4);
      w.close();
      w.date_time(tag::time_stamp, 1700000000);
      w.integer(tag::batch_count, 1);
      w.close();
      const ttlv_scope item(w, tag::batch_item);
      w.enumeration(tag::operation, operation::encrypt);
      w.enumeration(tag::result_status, result_status::success);
      const ttlv_scope payload(w, tag::response_payload);
      w.text(tag::unique_identifier, "9");
      w.octets(tag::data, bytes(4, 0x77));
      if (with_iv)
        w.octets(tag::iv_counter_nonce, bytes(12, 0x55));
      w.octets(tag::authenticated_encryption_tag, bytes(tag_bytes, 0x66));
    }
    return w.take();
  };
  const encrypt_data asked{"9", secret(unhex("00112233")), {}};
  const auto good = parse_response(asked, without_id(4), answer_with(true, 16));
  ASSERT_TRUE(good.outcome.ok()) << good.outcome.failure().message;
  const auto& data = std::get<encrypted_data>(*good.outcome);
  EXPECT_TRUE(data.gcm);
  EXPECT_EQ(data.iv, bytes(12, 0x55));
  EXPECT_EQ(data.tag, bytes(16, 0x66));
  EXPECT_EQ(data.ciphertext, bytes(4, 0x77));
  EXPECT_FALSE(parse_response(asked, without_id(4), answer_with(false, 16)).outcome.ok());
  EXPECT_FALSE(parse_response(asked, without_id(4), answer_with(true, 12)).outcome.ok());
}

TEST(KmipResponses, DecryptOfARealServer) {
  auto session = recorded_session("1.4");
  const decrypt_data asked{"9", {false, bytes(16), bytes(48), {}}, {}};
  const auto r = parse_response(asked, without_id(4), session["< DECRYPT:SUCCESS"]);
  ASSERT_TRUE(r.outcome.ok()) << r.outcome.failure().message;
  const auto& plaintext = std::get<decrypted_data>(*r.outcome).plaintext;
  EXPECT_EQ(as_text(plaintext->reveal_secret()), std::string(32, 'x'));
}

/// The table was made for Get of "k1" over KMIP 1.2, with a limit of 1 MiB.
TEST(KmipResponses, MalformedAndHostile) {
  message_options options = without_id(2);
  options.limits.message_bytes = message_bytes_max;
  std::size_t count = 0;
  for (const auto& row : testing::table("malformed/malformed.tsv")) {
    const bytes message = unhex(row.at(3));
    const std::string& expect = row.at(1);
    const auto r = parse_response(get_key{"k1"}, options, message);
    if (expect == "accept" || expect == "ignore") {
      EXPECT_TRUE(r.outcome.ok()) << row.at(0);
    } else {
      EXPECT_FALSE(r.outcome.ok()) << row.at(0);
    }
    // What the server means as an error is one of the key server; all else ends the connection.
    if (expect == "accept-as-error") {
      EXPECT_EQ(r.outcome.failure().code, errc::kmip_failure) << row.at(0);
    }
    if (expect == "reject" || expect == "policy") {
      EXPECT_TRUE(r.close) << row.at(0);
    }
    if (expect == "need-more" && message.size() >= ttlv_header_bytes) {
      EXPECT_GT(ttlv_total_bytes(message, options.limits).value(), message.size()) << row.at(0);
    }
    ++count;
  }
  EXPECT_EQ(count, 27U);
}

bytes replaced(bytes message, const char* from, const char* to) {
  const bytes a = unhex(from);
  const bytes b = unhex(to);
  EXPECT_EQ(a.size(), b.size());
  const auto at = std::search(message.begin(), message.end(), a.begin(), a.end());
  EXPECT_NE(at, message.end());
  std::copy(b.begin(), b.end(), at);
  return message;
}

bytes good_get() {
  return unhex(testing::table("malformed/malformed.tsv").at(0).at(3));
}

TEST(KmipResponses, KeyValueMayBeAByteString) {
  const auto options = without_id(2);
  ttlv_writer w;
  {
    const ttlv_scope message(w, tag::response_message);
    w.open(tag::response_header);
    w.open(tag::protocol_version);
    w.integer(tag::protocol_version_major, 1);
    w.integer(tag::protocol_version_minor, 2);
    w.close();
    w.integer(tag::batch_count, 1);
    w.close();
    const ttlv_scope item(w, tag::batch_item);
    w.enumeration(tag::operation, operation::get);
    w.enumeration(tag::result_status, result_status::success);
    const ttlv_scope payload(w, tag::response_payload);
    w.enumeration(tag::object_type, object_type::symmetric_key);
    w.text(tag::unique_identifier, "k1");
    const ttlv_scope object(w, tag::symmetric_key);
    const ttlv_scope block(w, tag::key_block);
    w.enumeration(tag::key_format_type, key_format::raw);
    w.octets(tag::key_value, bytes(24, 7));
    w.integer(tag::cryptographic_length, 192);
  }
  const auto as_octets = parse_response(get_key{"k1"}, options, w.take());
  ASSERT_TRUE(as_octets.outcome.ok()) << as_octets.outcome.failure().message;
  EXPECT_EQ(std::get<key_material>(*as_octets.outcome).key->size(), 24U);
}

TEST(KmipResponses, OfOthersAreRefused) {
  message_options options = without_id(2);
  const bytes good = good_get();
  EXPECT_TRUE(parse_response(get_key{"k1"}, options, good).outcome.ok());
  EXPECT_TRUE(parse_response(get_key{"k2"}, options, good).close) << "another object";
  EXPECT_TRUE(parse_response(activate{"k1"}, options, good).close) << "another operation";
  // Another algorithm, another format: said clearly, and no reason to close.
  EXPECT_EQ(
      parse_response(get_key{"k1"}, options,
                     replaced(good, "42002805000000040000000300", "42002805000000040000000200"))
          .outcome.failure()
          .code,
      errc::unsupported);
  EXPECT_EQ(
      parse_response(get_key{"k1"}, options,
                     replaced(good, "42004205000000040000000100", "42004205000000040000000200"))
          .outcome.failure()
          .code,
      errc::unsupported);
  options.id = batch_item_id{1};
  EXPECT_TRUE(parse_response(get_key{"k1"}, options, good).close) << "no Batch Item ID";
}

TEST(KmipResponses, AWrappedKeyIsNotTheKey) {
  for (const auto& m :
       testing::messages(testing::data_path("pykmip-0.10.0-capture/kmip-1.4.ttlv"))) {
    if (m.label != "GET:SUCCESS" || m.message.size() < 0x170)
      continue;
    const auto r = parse_response(get_key{"10"}, without_id(4), m.message);
    ASSERT_FALSE(r.outcome.ok());
    EXPECT_EQ(r.outcome.failure().code, errc::unsupported);
    EXPECT_FALSE(r.close);
    return;
  }
  FAIL() << "no wrapped key in the recording";
}

TEST(KmipResponses, TextOfTheServerIsMadePrintable) {
  EXPECT_EQ(printable("a\nb\x1b[31m\xc3\xa9"), "a?b?[31m??");
  EXPECT_EQ(printable(std::string(5000, 'x')).size(), server_text_bytes_max);
}

} // namespace
} // namespace custos::kmip

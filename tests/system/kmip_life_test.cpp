// The life of a key in every version of KMIP that a real server (PyKMIP) speaks: created, found by
// its name, looked at, activated, fetched, used, revoked, destroyed. And several requests in one
// message.

#include "tests/system/kmip_session_client.hpp"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace custos::kmip {
namespace {

using namespace std::chrono_literals;
using testing::session_client;

const std::string scripts = CUSTOS_SOURCE_DIR "/tests/system/";

std::string run_script(const std::string& command) {
  FILE* const out = ::popen(command.c_str(), "r");
  if (out == nullptr)
    return {};
  std::string text;
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), out) != nullptr)
    text += buffer.data();
  return ::pclose(out) == 0 ? text : std::string();
}

std::string file(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// One server for all tests of this file.
class KmipLife : public ::testing::TestWithParam<protocol_version> {
protected:
  static void SetUpTestSuite() {
    std::string name = (std::filesystem::temp_directory_path() / "custos-life-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    const std::string pid = run_script(scripts + "start_kmip_server.sh " + dir_.string() + " 0");
    ASSERT_FALSE(pid.empty()) << "the KMIP server does not start";
    pid_ = static_cast<pid_t>(std::stol(pid));
    run_script(scripts + "make_client_cert.sh " + dir_.string() + " kps-1 && echo done");
  }
  static void TearDownTestSuite() {
    if (pid_ > 0)
      ::kill(-std::exchange(pid_, 0), SIGKILL);
    std::filesystem::remove_all(dir_);
  }

  std::shared_ptr<session_client> client(session_options options) {
    tls::stream_options to;
    to.host = "localhost";
    to.port = static_cast<std::uint16_t>(std::stoul(file(dir_ / "port")));
    to.trusted_pem = {file(dir_ / "ca.crt")};
    to.identity = http::tls_identity{
        file(dir_ / "kps-1.crt"),
        crypto::private_key_from_pem(as_bytes(file(dir_ / "kps-1.key"))).value()};
    to.connect_timeout = 20s;
    clients_.push_back(std::make_shared<session_client>(pool_, std::move(options)));
    clients_.back()->connect(to);
    return clients_.back();
  }
  std::shared_ptr<session_client> client_of(protocol_version version) {
    session_options options;
    options.assumed = version;
    return client(std::move(options));
  }

  ~KmipLife() override {
    for (const auto& c : clients_)
      c->end();
    pool_.stop();
  }

  static inline std::filesystem::path dir_;
  static inline pid_t pid_ = 0;
  http::io_pool pool_{1};
  std::vector<std::shared_ptr<session_client>> clients_;
};

crypto::secret_ptr secret(std::string_view text) {
  return std::make_shared<const crypto::secret_bytes>(as_bytes(text));
}

std::string named(const std::string& what, protocol_version version) {
  return what + "-" + to_string(version);
}

#define ASSERT_DONE(...)                                                                           \
  do {                                                                                             \
    const auto& done = (__VA_ARGS__);                                                              \
    ASSERT_TRUE(done.ok()) << done.failure().message;                                              \
  } while (false)

TEST_P(KmipLife, OfACreatedKey) {
  const auto version = GetParam();
  const auto kms = client_of(version);
  const auto name = named("life", version);
  const auto made = kms->ask_for<key_created>(create_symmetric_key{name});
  ASSERT_DONE(made);
  const auto& id = made->unique_identifier;
  EXPECT_EQ(kms->server().version_major, version.major);
  EXPECT_EQ(kms->server().version_minor, version.minor);

  const auto found = kms->ask_for<keys_found>(locate{name});
  ASSERT_DONE(found);
  EXPECT_EQ(found->unique_identifiers, std::vector{id});
  const auto nobody = kms->ask_for<keys_found>(locate{name + "-not"});
  ASSERT_DONE(nobody);
  EXPECT_TRUE(nobody->unique_identifiers.empty());

  const auto is = kms->ask_for<key_attributes>(get_attributes{id});
  ASSERT_DONE(is);
  EXPECT_EQ(is->state, "Pre-Active");
  EXPECT_EQ(is->object_type, "Symmetric Key");
  EXPECT_EQ(is->algorithm, "AES");
  EXPECT_EQ(is->length_bits, 256U);
  EXPECT_EQ(is->usage_mask, usage_encrypt | usage_decrypt);

  ASSERT_DONE(kms->ask_for<activated>(activate{id}));
  const auto state = kms->ask_for<key_state>(get_state{id});
  ASSERT_DONE(state);
  EXPECT_EQ(state->state, "Active");
  const auto twice = kms->ask_for<activated>(activate{id});
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.failure().check, "kmip-permission-denied");

  const auto key = kms->ask_for<key_material>(get_key{id});
  ASSERT_DONE(key);
  EXPECT_EQ(key->key->size(), 32U);

  ASSERT_DONE(kms->ask_for<revoked>(revoke{id, revocation_reason::key_compromise, "lost", 1}));
  const auto after = kms->ask_for<key_attributes>(get_attributes{id});
  ASSERT_DONE(after);
  EXPECT_EQ(after->state, "Compromised");
  ASSERT_DONE(kms->ask_for<destroyed>(destroy{id}));
  const auto gone = kms->ask_for<key_material>(get_key{id});
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.failure().code, errc::not_found);
}

TEST_P(KmipLife, OfARegisteredKey) {
  const auto version = GetParam();
  const auto kms = client_of(version);
  const auto ours = secret("0123456789abcdef0123456789ABCDEF");
  const auto name = named("registered", version);
  const auto made = kms->ask_for<key_created>(register_symmetric_key{name, ours});
  ASSERT_DONE(made);
  const auto& id = made->unique_identifier;
  const auto key = kms->ask_for<key_material>(get_key{id});
  ASSERT_DONE(key);
  EXPECT_TRUE(crypto::equal(key->key->reveal_secret(), ours->reveal_secret()));
  const auto found = kms->ask_for<keys_found>(locate{name});
  ASSERT_DONE(found);
  EXPECT_EQ(found->unique_identifiers, std::vector{id});
  ASSERT_DONE(kms->ask_for<activated>(activate{id}));
  ASSERT_DONE(kms->ask_for<revoked>(revoke{id, revocation_reason::superseded, {}}));
  const auto state = kms->ask_for<key_state>(get_state{id});
  ASSERT_DONE(state);
  EXPECT_EQ(state->state, "Deactivated");
}

TEST_P(KmipLife, EncryptsAndDecryptsAsTheVersionCan) {
  const auto version = GetParam();
  const auto kms = client_of(version);
  const auto made = kms->ask_for<key_created>(create_symmetric_key{named("used", version)});
  ASSERT_DONE(made);
  const auto& id = made->unique_identifier;
  ASSERT_DONE(kms->ask_for<activated>(activate{id}));
  const auto plaintext = secret("thirty-two bytes of a key to go!");
  const auto wrapped =
      kms->ask_for<encrypted_data>(encrypt_data{id, plaintext, to_bytes("host-1")});
  if (version < protocol_version{1, 2}) {
    ASSERT_FALSE(wrapped.ok());
    EXPECT_EQ(wrapped.failure().code, errc::unsupported);
    return;
  }
  ASSERT_DONE(wrapped);
  const bool gcm = version >= protocol_version{1, 4};
  EXPECT_EQ(wrapped->gcm, gcm);
  EXPECT_EQ(wrapped->tag.size(), gcm ? 16U : 0U);
  const auto back = kms->ask_for<decrypted_data>(decrypt_data{id, *wrapped, to_bytes("host-1")});
  ASSERT_DONE(back);
  EXPECT_TRUE(crypto::equal(back->plaintext->reveal_secret(), plaintext->reveal_secret()));
  if (!gcm)
    return;
  EXPECT_FALSE(kms->ask_for<decrypted_data>(decrypt_data{id, *wrapped, to_bytes("host-2")}).ok())
      << "other authenticated data";
  auto forged = *wrapped;
  forged.tag[0] ^= 1U;
  EXPECT_FALSE(kms->ask_for<decrypted_data>(decrypt_data{id, forged, to_bytes("host-1")}).ok());
}

TEST_P(KmipLife, SeveralRequestsShareAMessage) {
  const auto version = GetParam();
  session_options options;
  options.assumed = version;
  options.batch_max = 10;
  const auto kms = client(std::move(options));
  const auto made = kms->ask_for<key_created>(create_symmetric_key{named("batch", version)});
  ASSERT_DONE(made);
  const auto& id = made->unique_identifier;
  const auto before = kms->messages_sent();
  std::vector<request> requests(21, get_key{id});
  requests[5] = get_key{"no-such-key"};
  requests[6] = get_state{id};
  auto answers = kms->submit(std::move(requests));
  for (std::size_t i = 0; i < answers.size(); ++i) {
    ASSERT_EQ(answers[i].wait_for(60s), std::future_status::ready) << i;
    const auto a = answers[i].get();
    ASSERT_EQ(a.ok(), i != 5) << i << (a.ok() ? "" : a.failure().message);
    if (i == 5) {
      EXPECT_EQ(a.failure().code, errc::not_found);
    } else if (i == 6) {
      EXPECT_EQ(std::get<key_state>(*a).state, "Pre-Active");
    } else {
      EXPECT_EQ(std::get<key_material>(*a).key->size(), 32U);
    }
  }
  // The first goes by itself, for nothing else waits yet; the rest share.
  EXPECT_EQ(kms->messages_sent() - before, 3U);
}

INSTANTIATE_TEST_SUITE_P(EveryVersion, KmipLife,
                         ::testing::Values(protocol_version{1, 0}, protocol_version{1, 1},
                                           protocol_version{1, 2}, protocol_version{1, 3},
                                           protocol_version{1, 4}, protocol_version{2, 0}),
                         [](const auto& version) {
                           return "v" + std::to_string(version.param.major) + "_" +
                                  std::to_string(version.param.minor);
                         });

TEST_F(KmipLife, TheNewestVersionOfBothIsNegotiated) {
  const auto kms = client({});
  ASSERT_DONE(kms->ask_for<query_answer>(query{}));
  EXPECT_EQ(to_string({kms->server().version_major, kms->server().version_minor}), "2.0");
}

} // namespace
} // namespace custos::kmip

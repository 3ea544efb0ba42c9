// The host's side of a real (software) TPM: what its maker left in NV, endorsement keys of both
// ranges, attestation keys of all kinds, what is kept across reboots and what a cleared TPM loses.
// The verifier's own functions judge every quote and make every credential.

#include "actors/host/tpm_actor.hpp"
#include "adapters/crypto/x509.hpp"
#include "adapters/ima/writer.hpp"
#include "adapters/tpm/make_credential.hpp"
#include "messages/caf_error.hpp"
#include "tests/system/software_tpm.hpp"
#include "tests/unit/adapters/tpm/ek_certificate_maker.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>

namespace custos::tpm {
namespace {

constexpr std::uint32_t ak_handle = 0x81010010;
constexpr std::uint32_t pcrs = 0xFBFF;

class host_tpm_system : public ::testing::Test {
protected:
  void power_on() { tpm_.power_on(); }
  void power_off() {
    device_.reset();
    tpm_.power_off();
  }
  void reboot() {
    power_off();
    power_on();
  }
  [[nodiscard]] std::string tcti() const { return tpm_.tcti(); }
  host_tpm& device(ek_kind ek = ek_kind::automatic) {
    device_.reset(); // one client at a time
    auto opened = host_tpm::open(tcti(), ek);
    EXPECT_TRUE(opened.ok()) << opened.failure().message;
    device_ = *std::move(opened);
    return *device_;
  }
  /// One of tpm2-tools, between two uses of the device.
  std::string tool(const std::string& command) {
    device_.reset();
    return tpm_.tool(command);
  }
  void define_nv(std::uint32_t index, byte_view content, const char* attributes, std::size_t room) {
    const auto file = dir_ / "nv.bin";
    std::ofstream(file, std::ios::binary) << as_text(content);
    std::array<char, 16> name{};
    std::snprintf(name.data(), name.size(), "0x%08x", index);
    const auto told = tool("tpm2_nvdefine -Q -C o -s " + std::to_string(room) + " -a '" +
                           attributes + "' " + name.data() + " && TPM2TOOLS_TCTI=" + tcti() +
                           " tpm2_nvwrite -Q -C o -i " + file.string() + " " + name.data());
    ASSERT_EQ(told, "");
  }

  /// What a node does with this TPM's keys: a credential only they open, then a quote.
  static void judge(host_tpm& d, const ak_blob& ak) {
    const auto ek = parse_public(d.ek_public().value());
    ASSERT_TRUE(ek.ok()) << ek.failure().message;
    ASSERT_TRUE(check_endorsement_key(*ek).ok());
    const auto area = parse_public(host_tpm::ak_public(ak).value());
    ASSERT_TRUE(area.ok()) << area.failure().message;
    ASSERT_TRUE(check_attestation_key(*area).ok());
    const auto secret = crypto::random_bytes(32);
    const auto credential = make_credential(*ek, area->name, secret);
    ASSERT_TRUE(credential.ok()) << credential.failure().message;
    const auto opened =
        d.activate_credential(ak, credential->id_object, credential->encrypted_secret);
    ASSERT_TRUE(opened.ok()) << opened.failure().message;
    EXPECT_TRUE(crypto::equal(opened->reveal_secret(), secret));
    judge_quote(d, ak, *area);
  }
  static void judge_quote(host_tpm& d, const ak_blob& ak, const public_area& area) {
    const auto nonce = crypto::random_bytes(32);
    const auto quoted = d.quote(ak, pcrs, nonce);
    ASSERT_TRUE(quoted.ok()) << quoted.failure().message;
    const auto parsed = parse_quote(quoted->quote);
    ASSERT_TRUE(parsed.ok()) << parsed.failure().message;
    EXPECT_EQ(parsed->extra_data, nonce);
    const auto signature = parse_signature(quoted->signature);
    ASSERT_TRUE(signature.ok());
    EXPECT_TRUE(verify_quote_signature(area, quoted->quote, *signature, false).ok());
    const auto digest = pcr_composite_digest(area.scheme->hash, parsed->selection, quoted->pcrs);
    ASSERT_TRUE(digest.ok()) << digest.failure().message;
    EXPECT_EQ(*digest, parsed->pcr_digest);
    EXPECT_EQ(quoted->clock.reset_count, parsed->clock.reset_count);
    std::set<crypto::hash_alg> banks;
    for (const auto& s : parsed->selection) {
      banks.insert(s.bank);
      EXPECT_EQ(s.mask, pcrs);
    }
    EXPECT_EQ(banks, (std::set{crypto::hash_alg::sha256, crypto::hash_alg::sha384}))
        << "every active bank";
  }

  custos::test::software_tpm tpm_;
  std::filesystem::path dir_ = tpm_.dir();
  std::unique_ptr<host_tpm> device_;
};

} // namespace

TEST_F(host_tpm_system, makes_attestation_keys_of_all_kinds) {
  for (const auto* name :
       {"ecdsa-p256", "ecdsa-p384", "rsassa-2048", "rsapss-2048", "rsassa-3072", "rsapss-3072"}) {
    SCOPED_TRACE(name);
    auto& d = device();
    const auto alg = ak_algorithm_of(name).value();
    const auto ak = d.create_ak(alg);
    ASSERT_TRUE(ak.ok()) << ak.failure().message;
    const auto area = parse_public(host_tpm::ak_public(*ak).value());
    ASSERT_TRUE(area.ok());
    EXPECT_EQ(ak_algorithm_of_key(*area), alg);
    judge(d, *ak);
  }
}

TEST_F(host_tpm_system, finds_the_endorsement_key_that_the_certificate_is_for) {
  const auto ak = device().create_ak(ak_algorithm::ecdsa_p256).value();
  // swtpm's maker certifies RSA-2048 of the low and P-384 of the high range.
  for (const auto kind : {ek_kind::automatic, ek_kind::rsa_2048, ek_kind::ecc_p384}) {
    SCOPED_TRACE(std::string(to_string(kind)));
    auto& d = device(kind);
    const auto found = d.read_ek_credentials();
    ASSERT_TRUE(found.ok()) << found.failure().message;
    const auto certificate = crypto::certificate_from_nv(found->certificate);
    ASSERT_TRUE(certificate.ok()) << certificate.failure().message;
    const auto ek = parse_public(d.ek_public().value()).value();
    EXPECT_TRUE(certificate->public_key().same_public(ek.key));
    EXPECT_TRUE(found->intermediates.empty());
    judge(d, ak);
  }
}

TEST_F(host_tpm_system, uses_templates_of_keys_without_certificate) {
  const auto ak = device().create_ak(ak_algorithm::ecdsa_p256).value();
  for (const auto kind : {ek_kind::ecc_p256, ek_kind::rsa_3072}) {
    SCOPED_TRACE(std::string(to_string(kind)));
    auto& d = device(kind);
    const auto found = d.read_ek_credentials();
    ASSERT_TRUE(found.ok()) << found.failure().message;
    EXPECT_TRUE(found->certificate.empty());
    judge(d, ak);
  }
}

TEST_F(host_tpm_system, makes_the_same_endorsement_keys_as_other_tools) {
  for (const auto& [kind, name] :
       {std::pair{ek_kind::rsa_2048, "rsa"}, std::pair{ek_kind::ecc_p256, "ecc"}}) {
    const auto file = dir_ / "ek.der";
    ASSERT_EQ(tool("tpm2_createek -Q -c " + (dir_ / "ek.ctx").string() + " -G " + name +
                   " -f der -u " + file.string() + " && TPM2TOOLS_TCTI=" + tcti() +
                   " tpm2_flushcontext -t"),
              "");
    std::ifstream in(file, std::ios::binary);
    const std::string der((std::istreambuf_iterator<char>(in)), {});
    const auto ours = parse_public(device(kind).ek_public().value()).value();
    EXPECT_EQ(as_text(ours.key.spki_der()), der) << name;
  }
}

TEST_F(host_tpm_system, reads_a_chain_that_spans_several_indices) {
  // A maker that certifies P-256 in the low range and leaves its CAs beside it.
  const auto make_ca = [](const char* name, const crypto::key& key, const crypto::key& issuer_key,
                          const crypto::certificate* issuer) {
    crypto::certificate_request r;
    r.common_name = name;
    r.is_ca = true;
    r.not_after = 4'000'000'000;
    return crypto::issue_certificate(r, key, issuer_key, issuer).value();
  };
  const auto root_key = crypto::generate_p256().value();
  const auto upper_key = crypto::generate_rsa(3072).value();
  const auto lower_key = crypto::generate_rsa(2048).value();
  const auto root = make_ca("root", root_key, root_key, nullptr);
  const auto upper = make_ca("upper", upper_key, root_key, &root);
  const auto lower = make_ca("lower", lower_key, upper_key, &upper);
  const auto ek = parse_public(device(ek_kind::ecc_p256).ek_public().value()).value();
  const auto leaf = test::make_ek_certificate(ek.key, lower_key, lower);
  const char* const attributes = "ownerwrite|ownerread|authread|no_da";
  define_nv(0x01C0000A, leaf.der(), attributes, 1600); // 0xFF behind it, as never written
  bytes chain = lower.der();
  chain.insert(chain.end(), upper.der().begin(), upper.der().end());
  chain.insert(chain.end(), root.der().begin(), root.der().end());
  const auto half = chain.size() / 2;
  define_nv(0x01C00100, byte_view(chain).first(half), attributes, half);
  // Readable with the owner's authorization only, as some makers have it.
  define_nv(0x01C00101, byte_view(chain).subspan(half), "ownerwrite|ownerread|no_da", 2000);

  const auto found = device(ek_kind::ecc_p256).read_ek_credentials();
  ASSERT_TRUE(found.ok()) << found.failure().message;
  EXPECT_EQ(found->certificate.size(), 1600U) << "as in NV";
  EXPECT_EQ(crypto::certificate_from_nv(found->certificate)->der(), leaf.der());
  ASSERT_EQ(found->intermediates.size(), 2U);
  EXPECT_EQ(found->intermediates[0], lower.der());
  EXPECT_EQ(found->intermediates[1], upper.der());
  const auto by_default = device().read_ek_credentials();
  EXPECT_TRUE(by_default->intermediates.empty()) << "the chain is not that of the RSA key";

  const auto junk = dir_ / "junk";
  std::ofstream(junk, std::ios::binary) << as_text(crypto::random_bytes(half));
  ASSERT_EQ(tool("tpm2_nvwrite -Q -C o -i " + junk.string() + " 0x01C00100"), "");
  const auto damaged = device(ek_kind::ecc_p256).read_ek_credentials();
  ASSERT_TRUE(damaged.ok()) << damaged.failure().message;
  EXPECT_EQ(damaged->certificate.size(), 1600U);
  EXPECT_TRUE(damaged->intermediates.empty()) << "a node may know them";
}

TEST_F(host_tpm_system, follows_the_makers_own_template_and_nonce) {
  const auto usual = parse_public(device(ek_kind::ecc_p256).ek_public().value()).value();
  define_nv(0x01C0000B, crypto::random_bytes(32), "ownerwrite|ownerread|authread|no_da", 32);
  auto& d = device(ek_kind::ecc_p256);
  const auto with_nonce = parse_public(d.ek_public().value()).value();
  EXPECT_FALSE(with_nonce.key.same_public(usual.key)) << "another primary key";
  judge(d, d.create_ak(ak_algorithm::ecdsa_p256).value());
}

TEST_F(host_tpm_system, keeps_a_key_across_reboots) {
  host::ak_options o{dir_ / "ak.tpm", ak_handle, ak_algorithm::rsapss_2048};
  const auto keep = [&] {
    auto kept = host::keep_ak(device(), o, {});
    EXPECT_TRUE(kept.ok()) << kept.failure().message;
    return *std::move(kept);
  };
  const auto made = keep();
  EXPECT_EQ(made.handle, ak_handle);
  judge(*device_, made);
  reboot();
  const auto again = keep();
  EXPECT_EQ(again.public_area, made.public_area);
  EXPECT_EQ(again.handle, ak_handle);
  judge(*device_, again);
  // The file alone is enough, and so is the TPM alone.
  ASSERT_TRUE(device_->evict(ak_handle).ok());
  o.handle = 0;
  const auto from_file = keep();
  EXPECT_EQ(from_file.public_area, made.public_area);
  judge(*device_, from_file);
  o.handle = ak_handle;
  EXPECT_EQ(keep().handle, ak_handle);
  std::filesystem::remove(o.file);
  const auto from_tpm = keep();
  EXPECT_EQ(from_tpm.public_area, made.public_area);
  judge(*device_, from_tpm);
}

TEST_F(host_tpm_system, makes_a_new_key_after_the_tpm_was_cleared) {
  const host::ak_options o{dir_ / "ak.tpm", ak_handle, ak_algorithm::ecdsa_p256};
  const auto made = host::keep_ak(device(), o, {});
  ASSERT_TRUE(made.ok());
  ASSERT_EQ(tool("tpm2_clear -Q -c p"), "");
  std::vector<std::string> said;
  const auto fresh = host::keep_ak(
      device(), o, [&](const std::string& event, const std::string&) { said.push_back(event); });
  ASSERT_TRUE(fresh.ok()) << fresh.failure().message;
  EXPECT_EQ(said, (std::vector<std::string>{"host.ak_lost", "host.ak_made"}));
  EXPECT_NE(fresh->public_area, made->public_area);
  EXPECT_EQ(device_->quote(*made, pcrs, {}).failure().code, errc::corrupted)
      << "another key is at its handle now";
  judge(*device_, *fresh);
}

TEST_F(host_tpm_system, leaves_transient_slots_free) {
  auto& d = device();
  const auto ak = d.create_ak(ak_algorithm::ecdsa_p256).value();
  ASSERT_TRUE(d.make_persistent(ak, ak_handle).ok());
  auto persistent = ak;
  persistent.handle = ak_handle;
  for (int i = 0; i < 6; ++i) { // a TPM has three
    judge(d, i % 2 == 0 ? ak : persistent);
    EXPECT_TRUE(d.persistent_public(ak_handle)->has_value());
    EXPECT_FALSE(d.persistent_public(ak_handle + 1)->has_value());
  }
  EXPECT_EQ(tool("tpm2_getcap handles-transient"), "");
  EXPECT_EQ(tool("tpm2_getcap handles-loaded-session"), "");
}

TEST_F(host_tpm_system, tells_what_it_cannot_do) {
  auto& d = device();
  const auto ak = d.create_ak(ak_algorithm::ecdsa_p256).value();
  auto other = ak;
  other.private_area.back() ^= 1;
  EXPECT_EQ(d.try_load(other).failure().code, errc::corrupted);
  other.private_area.resize(10);
  EXPECT_EQ(d.try_load(other).failure().code, errc::malformed);
  EXPECT_EQ(d.evict(ak_handle).failure().code, errc::tpm_failure);
  EXPECT_FALSE(d.quote(ak, pcrs, bytes(200)).ok());
  EXPECT_TRUE(d.try_load(ak).ok());
}

// ---- the actor ----------------------------------------------------------------------------------

namespace {

class tpm_actor_system : public host_tpm_system {
protected:
  tpm_actor_system() : config_(make_config()), system_(*config_) {}

  static std::unique_ptr<caf::actor_system_config> make_config() {
    auto c = std::make_unique<caf::actor_system_config>();
    c->add_message_types<caf::id_block::custos>();
    return c;
  }
  template <class Answer, class Message>
  result<Answer> ask(const tpm_api& to, Message message) {
    caf::scoped_actor self(system_);
    std::optional<result<Answer>> out;
    self->request(to, std::chrono::minutes(1), std::move(message))
        .receive([&](Answer& a) { out.emplace(std::move(a)); },
                 [&](const caf::error& e) { out.emplace(from_caf(e)); });
    return std::move(*out);
  }

  std::unique_ptr<caf::actor_system_config> config_;
  caf::actor_system system_;
};

} // namespace

TEST_F(tpm_actor_system, gives_evidence_with_the_logs_that_cover_it) {
  std::ofstream(dir_ / "log", std::ios::binary) << "boot";
  ima::writer list;
  const auto digest = crypto::sha256(as_bytes("file"));
  list.add_ng("boot_aggregate", crypto::hash_alg::sha256, digest);
  list.add_ng("/usr/bin/true", crypto::hash_alg::sha256, digest);
  host::tpm_options o;
  o.tcti = tcti();
  o.ak = {dir_ / "ak.tpm", ak_handle, ak_algorithm::ecdsa_p256};
  o.event_log = dir_ / "log";
  o.ima_log = dir_ / "ima";
  const auto tpm = host::spawn_tpm(system_, o);

  const auto without = ask<quote_made>(tpm, make_quote{bytes(32, 1)});
  ASSERT_TRUE(without.ok()) << without.failure().message;
  EXPECT_TRUE(without->ima_log.empty());
  const auto has = [](const quote_made& q, std::uint32_t pcr) {
    return std::any_of(q.pcrs.begin(), q.pcrs.end(),
                       [pcr](const pcr_value& v) { return v.pcr == pcr; });
  };
  EXPECT_FALSE(has(*without, 10));
  EXPECT_TRUE(has(*without, 15));

  std::ofstream(dir_ / "ima", std::ios::binary) << as_text(list.binary());
  const auto whole = ask<quote_made>(tpm, make_quote{bytes(32, 1)});
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->ima_log, list.binary());
  EXPECT_EQ(whole->ima_first, 0U);
  EXPECT_TRUE(has(*whole, 10));
  const auto known = ask<tpm_identity>(tpm, get_tpm_identity{true});
  ASSERT_TRUE(known.ok());
  EXPECT_EQ(known->ak_name, whole->ak_name);
  EXPECT_TRUE(known->ek_public.empty());

  const auto rest = ask<quote_made>(tpm, make_quote{bytes(32, 1), 1, whole->boot.reset_count});
  ASSERT_TRUE(rest.ok());
  EXPECT_EQ(rest->ima_first, 1U);
  EXPECT_LT(rest->ima_log.size(), whole->ima_log.size());
  EXPECT_EQ(
      ask<quote_made>(tpm, make_quote{bytes(32, 1), 1, whole->boot.reset_count + 1})->ima_first,
      0U);
  EXPECT_EQ(ask<quote_made>(tpm, make_quote{bytes(32, 1), 9, whole->boot.reset_count})->ima_first,
            0U);

  // The machine goes down under the agent and comes back: another boot, the same key.
  power_off();
  EXPECT_EQ(ask<quote_made>(tpm, make_quote{bytes(32, 1)}).failure().code, errc::tpm_failure);
  power_on();
  const auto after = ask<quote_made>(tpm, make_quote{bytes(32, 1), 1, whole->boot.reset_count});
  ASSERT_TRUE(after.ok()) << after.failure().message;
  EXPECT_EQ(after->ak_name, whole->ak_name);
  EXPECT_NE(after->boot.reset_count, whole->boot.reset_count);
  EXPECT_EQ(after->ima_first, 0U);
  caf::anon_send_exit(tpm, caf::exit_reason::user_shutdown);
}

} // namespace custos::tpm

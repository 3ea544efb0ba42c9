#include "actors/attestation/token.hpp"
#include "adapters/crypto/crypto.hpp"
#include "runtime/cli/inputs.hpp"
#include "runtime/cli/render.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/cli/trust_files.hpp"
#include "runtime/exit_codes.hpp"

#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace custos::cli {

namespace {

namespace bj = boost::json;

bj::value parsed(const char* text) {
  return bj::parse(text);
}

class cli_test : public ::testing::Test {
protected:
  cli_test()
      : folder(std::filesystem::temp_directory_path() /
               ("custos-cli-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder);
  }
  ~cli_test() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  int call(std::vector<std::string> arguments) {
    std::vector<const char*> argv{"custos"};
    for (const auto& a : arguments)
      argv.push_back(a.c_str());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run(static_cast<int>(argv.size()), argv.data());
    written = ::testing::internal::GetCapturedStdout();
    complained = ::testing::internal::GetCapturedStderr();
    return code;
  }
  std::string file(const std::string& name, const std::string& content) {
    std::ofstream(folder / name, std::ios::binary) << content;
    return folder / name;
  }

  std::string file_of_garbage() { return file("garbage", std::string(100, 'x')); }

  std::filesystem::path folder;
  std::string written;
  std::string complained;
};

} // namespace

TEST(render, shows_a_line_a_member) {
  EXPECT_EQ(as_text_block(parsed(R"({"a":1,"b":"two","c":true,"d":null,"e":[]})")),
            "a: 1\nb: two\nc: true\nd:\ne: none\n");
}

TEST(render, shows_lists_of_objects_as_a_table) {
  EXPECT_EQ(as_text_block(parsed(R"([{"name":"a","health":"OK"},{"name":"longer","x":1}])")),
            "name    health  x\na       OK\nlonger          1\n");
}

TEST(render, indents_what_is_inside) {
  EXPECT_EQ(as_text_block(parsed(R"({"n1":{"ok":true,"list":["x","y"]}})")),
            "n1:\n  ok: true\n  list:\n    - x\n    - y\n");
}

TEST(render, keeps_lines_and_takes_control_characters_out) {
  EXPECT_EQ(as_text_block(bj::value("-----BEGIN\nabc\n")), "-----BEGIN\nabc\n");
  EXPECT_EQ(as_text_block(bj::value("\x1b[31mred\x7f\r")), "?[31mred??\n");
  EXPECT_EQ(as_text_block(bj::value()), "");
}

TEST(render, writes_json_that_reads_back) {
  const auto v = parsed(R"({"a":[1,{"b":"x\n"}],"c":{},"d":[]})");
  const auto text = as_indented_json(v);
  EXPECT_EQ(bj::parse(text), v);
  EXPECT_EQ(text, "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x\\n\"\n    }\n  ],\n  \"c\": "
                  "{},\n  \"d\": []\n}\n");
}

TEST(segment, leaves_no_way_out_of_its_place) {
  EXPECT_EQ(segment("web-1.a_b~"), "web-1.a_b~");
  EXPECT_EQ(segment("../x?y=1#z"), "..%2Fx%3Fy%3D1%23z");
  EXPECT_EQ(segment("\xC3\xA4 %"), "%C3%A4%20%25");
}

TEST(pcr_list, is_read_and_written) {
  EXPECT_EQ(pcr_mask("--pcrs", "0-9,14").value(), 0x43FFU);
  EXPECT_EQ(pcr_mask("--pcrs", "23").value(), 1U << 23);
  EXPECT_EQ(pcr_mask("--pcrs", "").value(), 0U);
  for (const auto* bad : {"24", "-1", "3-1", "a", "1,,2", "1-", "0x1", " 1"})
    EXPECT_EQ(pcr_mask("--pcrs", bad).failure().field, "--pcrs") << bad;
  EXPECT_EQ(pcr_text(0x43FF), "0-9,14");
  EXPECT_EQ(pcr_text(0b1101), "0,2,3");
  EXPECT_EQ(pcr_text(0), "");
}

TEST(complaint, names_field_check_and_place) {
  auto e = field_error(errc::attestation_failed, "/pcrs", "differs");
  e.check = "base-image";
  e.pcr = 4;
  e.event = 25;
  EXPECT_EQ(complaint_of(e), "custos: /pcrs: differs (check base-image, PCR 4, event 25)");
  auto away = make_error(errc::unavailable, "away");
  away.retry_after_s = 3;
  EXPECT_EQ(complaint_of(away), "custos: away (try again in 3 s)");
}

TEST(exit_code, tells_what_to_do) {
  const auto code = [](errc c, bool by_server) {
    return exit_code_of(make_error(c, ""), by_server);
  };
  EXPECT_EQ(code(errc::forbidden, true), runtime::exit_denied);
  EXPECT_EQ(code(errc::unavailable, true), runtime::exit_unavailable);
  EXPECT_EQ(code(errc::timeout, false), runtime::exit_unavailable);
  EXPECT_EQ(code(errc::not_found, true), runtime::exit_failure);
  EXPECT_EQ(code(errc::not_found, false), runtime::exit_no_input);
  EXPECT_EQ(code(errc::malformed, false), runtime::exit_bad_data);
  EXPECT_EQ(code(errc::already_exists, true), runtime::exit_failure);
  EXPECT_EQ(code(errc::already_exists, false), runtime::exit_cannot_create);
  EXPECT_EQ(exit_code_of(field_error(errc::invalid_argument, "--ca", ""), false),
            runtime::exit_usage);
  auto not_yet = make_error(errc::revision_conflict, "");
  not_yet.check = std::string(not_yet_check);
  EXPECT_EQ(exit_code_of(not_yet, true), runtime::exit_not_yet);
}

TEST_F(cli_test, without_a_command_shows_the_commands) {
  EXPECT_EQ(call({}), runtime::exit_usage);
  EXPECT_NE(complained.find("provider"), std::string::npos);
  EXPECT_EQ(call({"cluster"}), runtime::exit_usage);
  EXPECT_EQ(call({"nonsense"}), runtime::exit_usage);
  EXPECT_EQ(call({"--help"}), runtime::exit_ok);
  EXPECT_NE(written.find("Examples:"), std::string::npos);
}

TEST_F(cli_test, says_which_option_is_missing) {
  EXPECT_EQ(call({"host", "status"}), runtime::exit_usage);
  EXPECT_NE(complained.find("--coordinator"), std::string::npos);
  EXPECT_EQ(call({"--coordinator", "https://127.0.0.1:1", "host", "status"}), runtime::exit_usage);
  EXPECT_NE(complained.find("--ca"), std::string::npos);
}

TEST_F(cli_test, initializes_a_cluster_once) {
  const auto data = (folder / "n1").string();
  const auto admin = (folder / "admin").string();
  const std::vector<std::string> init{
      "cluster",     "init",        "--data-dir", data,          "--name",
      "prod",        "--node-name", "n1",         "--addresses", "10.0.0.1,n1.example.org",
      "--admin-dir", admin};
  ASSERT_EQ(call(init), runtime::exit_ok) << complained;
  namespace fs = std::filesystem;
  EXPECT_EQ(fs::status(admin + "/admin.key").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(fs::exists(admin + "/ca.crt"));
  // Credentials are never overwritten, a data directory neither.
  EXPECT_EQ(call(init), runtime::exit_cannot_create);
  auto elsewhere = init;
  elsewhere.back() = (folder / "other").string();
  EXPECT_EQ(call(elsewhere), runtime::exit_cannot_create) << complained;
  EXPECT_FALSE(fs::exists(folder / "other" / "admin.key"));
  // All administrators' keys lost: a stopped node's directory gives new ones.
  EXPECT_EQ(
      call({"cluster", "recover", "--data-dir", data, "--name", "second", "--out-dir", admin}),
      runtime::exit_ok)
      << complained;
  EXPECT_TRUE(fs::exists(admin + "/second.key"));
}

TEST_F(cli_test, makes_an_image_of_a_boot_log) {
  const std::string log =
      std::string(CUSTOS_TEST_DATA) + "/attestation/eventlogs/ubuntu-2104-no-dbx.bin";
  const auto out = (folder / "web.json").string();
  ASSERT_EQ(call({"image", "export", "--event-log", log, "--name", "web", "--image-version", "7",
                  "--out", out}),
            runtime::exit_ok)
      << complained;
  std::ifstream in(out);
  const auto image = bj::parse(std::string{std::istreambuf_iterator<char>(in), {}});
  EXPECT_EQ(image.at("name"), "web");
  EXPECT_EQ(image.at("version"), "7");
  EXPECT_FALSE(image.at("pcrs").as_array().empty());
  EXPECT_EQ(call({"image", "export", "--event-log", log, "--name", "web", "--pcrs", "0-99"}),
            runtime::exit_usage);
  EXPECT_EQ(call({"image", "export", "--event-log", log, "--name", "no/slash"}),
            runtime::exit_bad_data);
  EXPECT_EQ(call({"image", "export", "--event-log", folder / "none", "--name", "web"}),
            runtime::exit_no_input);
  EXPECT_EQ(call({"image", "export", "--event-log", file("cut", "\x01\x02"), "--name", "web"}),
            runtime::exit_bad_data);
}

namespace {

const std::string logs = std::string(CUSTOS_TEST_DATA) + "/attestation/eventlogs/";

} // namespace

TEST_F(cli_test, packs_and_signs_images) {
  const auto log = logs + "ubuntu-2104-no-dbx.bin";
  const auto key = crypto::generate_p256().value();
  const auto other = crypto::generate_p256().value();
  const auto pkcs8 = key.pkcs8_der();
  const auto pem =
      file("sign.key", "-----BEGIN PRIVATE KEY-----\n" + crypto::base64(pkcs8.reveal_secret()) +
                           "\n-----END PRIVATE KEY-----\n");
  const auto trusted = file("sign.pub", key.public_pem());
  const auto stranger = file("other.pub", other.public_pem());
  const auto packed = (folder / "web.tgz").string();
  ASSERT_EQ(call({"image", "export", "--event-log", log, "--name", "web", "--out", packed,
                  "--sign-key", pem}),
            runtime::exit_ok)
      << complained;
  EXPECT_NE(complained.find("signed"), std::string::npos);
  EXPECT_EQ(call({"image", "explain", "--event-log", log, "--trusted-key", trusted, packed}),
            runtime::exit_ok)
      << complained;
  EXPECT_EQ(call({"image", "explain", "--event-log", log, "--trusted-key", stranger, packed}),
            runtime::exit_denied);
  EXPECT_NE(complained.find("web.tgz"), std::string::npos);
  EXPECT_EQ(call({"image", "import", "--trusted-key", stranger, packed}), runtime::exit_denied);
  const auto plain = (folder / "web.json").string();
  ASSERT_EQ(call({"image", "export", "--event-log", log, "--name", "web", "--out", plain}),
            runtime::exit_ok);
  EXPECT_EQ(call({"image", "import", plain, "--trusted-key", trusted}), runtime::exit_denied);
  EXPECT_EQ(call({"image", "diff", packed, plain}), runtime::exit_ok) << complained;
  EXPECT_NE(written.find("same: true"), std::string::npos) << written;
  EXPECT_EQ(call({"image", "export", "--event-log", log, "--name", "web", "--out", plain,
                  "--sign-key", pem}),
            runtime::exit_usage);
}

TEST_F(cli_test, explains_a_boot_offline) {
  const auto image = (folder / "cos.json").string();
  ASSERT_EQ(call({"image", "export", "--event-log", logs + "cos-85-amd-sev.bin", "--name", "cos",
                  "--out", image}),
            runtime::exit_ok)
      << complained;
  EXPECT_EQ(call({"image", "explain", "--event-log", logs + "cos-85-amd-sev.bin", "--pcrs",
                  logs + "cos-85-amd-sev.pcrs.json", image}),
            runtime::exit_ok)
      << complained;
  const auto few = file("few.json", R"({"sha256":{"0":")" + std::string(64, '0') + "\"}}");
  EXPECT_EQ(
      call({"image", "explain", "--event-log", logs + "cos-85-amd-sev.bin", "--pcrs", few, image}),
      runtime::exit_failure);
  EXPECT_NE(complained.find("pcr-selection"), std::string::npos);
  EXPECT_NE(written.find("not-quoted"), std::string::npos);
  EXPECT_EQ(call({"image", "explain", "--event-log", logs + "cos-85-amd-sev.bin", image}),
            runtime::exit_ok)
      << complained;
  EXPECT_NE(complained.find("--pcrs"), std::string::npos);
  EXPECT_EQ(call({"image", "explain", "--event-log", logs + "cos-93-amd-sev.bin", image}),
            runtime::exit_failure);
  EXPECT_NE(written.find("differences:"), std::string::npos);
  EXPECT_NE(written.find("unexpected"), std::string::npos);
  EXPECT_NE(written.find("to_change:"), std::string::npos);
  EXPECT_NE(complained.find("base-image"), std::string::npos);
  ASSERT_EQ(call({"image", "explain", "--json", "--event-log", logs + "cos-93-amd-sev.bin", image}),
            runtime::exit_failure);
  const auto json = bj::parse(written);
  EXPECT_EQ(json.at("matches"), false);
  EXPECT_EQ(json.at("why").at("check"), "base-image");
}

TEST_F(cli_test, makes_one_image_of_several_hosts) {
  const auto out = (folder / "two.json").string();
  const std::vector<std::string> both{"image",       "export",
                                      "--event-log", logs + "cos-85-amd-sev.bin",
                                      "--event-log", logs + "cos-93-amd-sev.bin",
                                      "--name",      "cos",
                                      "--out",       out};
  ASSERT_EQ(call(both), runtime::exit_ok) << complained;
  EXPECT_NE(complained.find("varies"), std::string::npos) << complained;
  for (const auto* const log : {"cos-85-amd-sev.bin", "cos-93-amd-sev.bin"})
    EXPECT_EQ(call({"image", "explain", "--event-log", logs + log, out}), runtime::exit_ok)
        << complained;
  auto refuse = both;
  refuse.insert(refuse.end(), {"--varying", "refuse"});
  EXPECT_EQ(call(refuse), runtime::exit_bad_data);
  EXPECT_NE(complained.find("cos-93-amd-sev.bin"), std::string::npos) << complained;
}

TEST_F(cli_test, takes_demands_into_an_image) {
  const auto log = logs + "rhel8-uefi.bin";
  const auto image = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"image", "export", "--event-log", log, "--name",
                                       "rhel",  "--json", "--out",       "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(call(arguments), runtime::exit_ok) << complained;
    return written.empty() ? bj::object{} : bj::parse(written).as_object();
  };
  const auto plain = image({});
  EXPECT_FALSE(plain.contains("secure_boot"));
  EXPECT_FALSE(plain.contains("audit_only"));
  const auto demanding = image({"--secure-boot", "log", "--authorities", "--audit-only"});
  EXPECT_EQ(demanding.at("audit_only"), true);
  EXPECT_EQ(demanding.at("secure_boot").at("enabled"), true);
  EXPECT_FALSE(demanding.at("secure_boot").at("authorities").as_array().empty());
  EXPECT_EQ(call({"image", "export", "--event-log", log, "--name", "rhel", "--secure-boot", "off",
                  "--out", "-"}),
            runtime::exit_bad_data);
  const auto forms = image({"--pcrs", "4-9", "--exact", "0,7", "--ignore", "1"});
  for (const auto& p : forms.at("pcrs").as_array()) {
    const auto pcr = p.at("pcr").as_int64();
    EXPECT_EQ(p.at("form"), pcr == 1 ? "ignored" : pcr == 0 || pcr == 7 ? "exact" : "ordered");
  }
  const auto ima =
      image({"--ima-log", std::string(CUSTOS_TEST_DATA) + "/attestation/ima/ima-log-sha256",
             "--ima-ignore", "/var"});
  EXPECT_FALSE(ima.at("ima").at("files").as_array().empty());
  EXPECT_EQ(ima.at("ima").at("ignored"), bj::array({"/var"}));
  EXPECT_EQ(call({"image", "export", "--event-log", log, "--name", "x", "--pcrs", "16"}),
            runtime::exit_usage);
}

TEST_F(cli_test, asks_for_a_change_to_simulate) {
  EXPECT_EQ(call({"image", "simulate"}), runtime::exit_usage);
  EXPECT_EQ(call({"image", "simulate", "--add", folder / "none"}), runtime::exit_no_input);
}

TEST_F(cli_test, judges_an_image_before_it_asks_anybody) {
  EXPECT_EQ(call({"image", "import", file("bad.json", R"({"name":"x","pcrs":[{"pcr":99}]})")}),
            runtime::exit_bad_data);
  EXPECT_NE(complained.find("bad.json"), std::string::npos);
  EXPECT_EQ(call({"image", "import", file("none.json", "[1]")}), runtime::exit_bad_data);
}

TEST_F(cli_test, says_that_nobody_answers) {
  const auto admin = (folder / "admin").string();
  ASSERT_EQ(call({"cluster", "init", "--data-dir", folder / "n1", "--name", "prod", "--node-name",
                  "n1", "--addresses", "127.0.0.1", "--admin-dir", admin}),
            runtime::exit_ok);
  // Port 1 is reserved and nobody's (tcpmux).
  EXPECT_EQ(call({"--coordinator", "https://127.0.0.1:1", "--ca", admin + "/ca.crt", "--cert",
                  admin + "/admin.crt", "--key", admin + "/admin.key", "host", "status"}),
            runtime::exit_unavailable)
      << complained;
  EXPECT_EQ(call({"--coordinator", "https://127.0.0.1:1", "--ca", admin + "/ca.crt", "--cert",
                  admin + "/admin.crt", "host", "status"}),
            runtime::exit_usage);
  EXPECT_NE(complained.find("--key"), std::string::npos);
}

namespace {

const std::string recorded = CUSTOS_TEST_DATA "/attestation/";

} // namespace

TEST_F(cli_test, replays_a_boot_log) {
  const auto log = recorded + "eventlogs/rhel8-uefi.bin";
  ASSERT_EQ(call({"eventlog", "replay", log, "--json"}), runtime::exit_ok) << complained;
  const auto answer = bj::parse(written);
  std::ifstream file(recorded + "eventlogs/rhel8-uefi.pcrs.json");
  const auto expected = bj::parse(
      std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
  for (const auto& [bank, values] : expected.at("banks").as_object())
    EXPECT_EQ(answer.at("pcrs").at(bank), values) << bank;
  ASSERT_EQ(call({"eventlog", "show", log, "--json"}), runtime::exit_ok);
  EXPECT_EQ(bj::parse(written).as_array().size(), answer.at("events").to_number<std::size_t>());
  EXPECT_EQ(call({"eventlog", "replay", file_of_garbage()}), runtime::exit_bad_data);
  EXPECT_EQ(call({"eventlog", "replay", folder / "none"}), runtime::exit_no_input);
}

TEST_F(cli_test, judges_evidence_by_hand) {
  const auto quote = recorded + "quotes/gce-cos-85-nonce9009/";
  const auto judge = [&](const std::string& nonce, const std::string& bank,
                         const std::string& attest) {
    return call({"evidence", "verify", "--ak", quote + "ak.tpmt_public.bin", "--attest", attest,
                 "--signature", quote + "quote." + bank + ".sig.bin", "--nonce", nonce, "--pcrs",
                 quote + "pcrs.json", "--eventlog", quote + "eventlog.bin", "--json"});
  };
  const auto attest = quote + "quote.sha256.attest.bin";
  EXPECT_EQ(judge("9009", "sha256", attest), runtime::exit_ok) << complained;
  EXPECT_EQ(bj::parse(written).at("verdict"), "accepted");
  EXPECT_EQ(judge("9008", "sha256", attest), runtime::exit_failure);
  EXPECT_EQ(bj::parse(written).at("verdict"), "refused");
  EXPECT_NE(complained.find("quote-binding"), std::string::npos);
  EXPECT_EQ(judge("9009", "sha384", attest), runtime::exit_failure);
  EXPECT_EQ(judge("9009", "sha256", file_of_garbage()), runtime::exit_failure) << "no magic";
  EXPECT_EQ(judge("9009", "sha256", folder / "none"), runtime::exit_no_input);
  EXPECT_EQ(judge("9", "sha256", attest), runtime::exit_usage);
}

TEST_F(cli_test, judges_ek_certificates_by_hand) {
  const auto certs = recorded + "certs/";
  EXPECT_EQ(call({"ek", "verify", "--cert", recorded + "quotes/gce-cos-85-nonce9009/ak_cert.der",
                  "--ca", certs + "gce/ca", "--json"}),
            runtime::exit_failure);
  EXPECT_EQ(bj::parse(written).at("checks").at(0).at("check"), "ek-profile");
  EXPECT_EQ(bj::parse(written).at("checks").at(1).at("verdict"), "passed");
  EXPECT_EQ(call({"ek", "verify", "--cert", certs + "keylime-ek/st_ecdsa_sha256.der", "--ca",
                  certs + "gce/ca", "--json"}),
            runtime::exit_failure);
  EXPECT_EQ(bj::parse(written).at("checks").at(1).at("verdict"), "failed");
  EXPECT_EQ(call({"ek", "verify", "--cert", file_of_garbage(), "--ca", certs + "gce/ca"}),
            runtime::exit_bad_data);
  EXPECT_EQ(call({"ek", "verify", "--cert", certs + "keylime-ek/st_ecdsa_sha256.der", "--ca",
                  folder / "none"}),
            runtime::exit_no_input);
}

TEST_F(cli_test, judges_ek_certificates_of_a_cloud_that_names_no_tpm) {
  const auto gce = recorded + "certs/gce/";
  const std::vector<std::string> base{"ek", "verify", "--ca", gce + "ca", "--json", "--cert"};
  const auto judge = [&](const std::string& cert, const std::vector<std::string>& more = {}) {
    auto all = base;
    all.push_back(gce + cert);
    all.insert(all.end(), more.begin(), more.end());
    return call(all);
  };
  EXPECT_EQ(judge("uca_tpm_rsa_enc_cert.pem"), runtime::exit_ok) << written;
  auto o = bj::parse(written).as_object();
  EXPECT_EQ(o.at("manufacturer"), "id:474F4F47");
  EXPECT_EQ(o.at("checks").at(2).at("check"), "ek-revocation");
  EXPECT_EQ(o.at("checks").at(2).at("verdict"), "skipped");
  EXPECT_EQ(o.at("checks").at(3).at("check"), "ek-strength");
  EXPECT_EQ(o.at("checks").at(3).at("verdict"), "passed");
  EXPECT_EQ(judge("pca_tpm_ecc_enc_cert.pem"), runtime::exit_failure);
  EXPECT_EQ(judge("pca_tpm_ecc_enc_cert.pem", {"--relaxed"}), runtime::exit_ok) << written;
  EXPECT_EQ(judge("pca_tpm_ecc_sign_cert.pem", {"--relaxed"}), runtime::exit_failure);
  EXPECT_EQ(judge("uca_tpm_rsa_enc_cert.pem", {"--require-crls"}), runtime::exit_failure);
  o = bj::parse(written).as_object();
  EXPECT_EQ(o.at("checks").at(1).at("verdict"), "passed");
  EXPECT_EQ(o.at("checks").at(2).at("verdict"), "failed");
  EXPECT_EQ(judge("uca_tpm_rsa_enc_cert.pem", {"--crl", file_of_garbage()}),
            runtime::exit_bad_data);
}

TEST_F(cli_test, judges_old_certificates_where_asked_to) {
  const auto certs = recorded + "certs/";
  const auto cas = folder / "cas";
  std::filesystem::create_directories(cas);
  std::filesystem::copy(certs + "tpm-vendor-ca/STM_ECC_01I.pem", cas / "st.pem");
  const std::vector<std::string> base{
      "ek", "verify", "--cert", certs + "keylime-ek/st_ecdsa_sha256.der", "--ca", cas, "--json"};
  EXPECT_EQ(call(base), runtime::exit_failure) << "no root";
  auto partial = base;
  partial.emplace_back("--partial-chain");
  partial.emplace_back("--allow-expired"); // whenever this runs
  EXPECT_EQ(call(partial), runtime::exit_ok) << written;
}

TEST_F(cli_test, reads_endorsement_keys_in_every_form) {
  const auto cert = recorded + "certs/keylime-ek/st_ecdsa_sha256.der";
  const auto fingerprint = ek_fingerprint(cert);
  ASSERT_TRUE(fingerprint) << fingerprint.failure().message;
  const auto parsed_cert = read_certificates(cert);
  ASSERT_TRUE(parsed_cert);
  const auto& c = parsed_cert->front();
  EXPECT_EQ(*fingerprint, crypto::hex(crypto::sha256(c.public_key().spki_der())));
  EXPECT_EQ(*ek_fingerprint(file("c.pem", c.pem())), *fingerprint);
  EXPECT_EQ(*ek_fingerprint(file("k.pem", c.public_key().public_pem())), *fingerprint);
  auto upper = *fingerprint;
  for (auto& ch : upper)
    ch = static_cast<char>(std::toupper(static_cast<unsigned char>(ch)));
  EXPECT_EQ(*ek_fingerprint(upper), *fingerprint);
  EXPECT_TRUE(ek_fingerprint(recorded + "quotes/gce-cos-85-nonce9009/ak.tpmt_public.bin"));
  EXPECT_EQ(ek_fingerprint(file_of_garbage()).failure().field, file_of_garbage());
  EXPECT_EQ(ek_fingerprint(folder / "none").failure().code, errc::not_found);
}

TEST_F(cli_test, denies_nothing_in_particular_to_nobody) {
  const std::vector<std::string> base{"--coordinator", "https://127.0.0.1:9", "trust", "deny", "d"};
  EXPECT_EQ(call(base), runtime::exit_bad_data);
  EXPECT_NE(complained.find("--manufacturer"), std::string::npos) << complained;
  auto wrong = base;
  wrong.insert(wrong.end(), {"--ek", file_of_garbage()});
  EXPECT_EQ(call(wrong), runtime::exit_bad_data);
  EXPECT_NE(complained.find("garbage"), std::string::npos) << complained;
  EXPECT_EQ(call({"--coordinator", "https://127.0.0.1:9", "trust", "add-crl", "ca", "--file",
                  file_of_garbage()}),
            runtime::exit_bad_data);
}

// ---- tokens -------------------------------------------------------------------------------------

namespace {

class cli_token_test : public cli_test {
protected:
  cli_token_test() {
    claims.issuer = "https://trust.example";
    claims.host = "host-7";
    claims.issued = std::chrono::duration_cast<std::chrono::seconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count();
    claims.expires = claims.issued + 3600;
    claims.id = "id";
    claims.nonce = bytes(32, 1);
    claims.image = "debian";
    claims.image_version = "12.7";
    claims.bank = "sha256";
    claims.ak_name = bytes(34, 5);
    jwks = file("jwks.json", jose::jwks_of({{by.key, by.kid, "sig", by.alg}}));
  }
  std::string token_file() {
    return file("token", attestation::make_token(claims, by).value() + "\n");
  }

  attestation::token_signer by =
      attestation::make_token_signer(crypto::generate_p384().value(), "ES384", "k1").value();
  attestation::token_claims claims;
  std::string jwks;
};

} // namespace

TEST_F(cli_token_test, shows_a_token_and_says_that_nothing_was_judged) {
  const auto token = token_file();
  ASSERT_EQ(call({"token", "inspect", token, "--json"}), runtime::exit_ok) << complained;
  const auto shown = bj::parse(written);
  EXPECT_EQ(shown.at("header").at("alg"), "ES384");
  EXPECT_EQ(shown.at("header").at("kid"), "k1");
  EXPECT_EQ(shown.at("claims").at("sub"), "host-7");
  EXPECT_EQ(shown.at("signature"), "not judged");
  ASSERT_EQ(call({"token", "inspect", token}), runtime::exit_ok);
  EXPECT_NE(complained.find("not judged"), std::string::npos);
  EXPECT_EQ(call({"token", "inspect", file("forged", "eyJhbGciOiJub25lIn0.e30.")}),
            runtime::exit_ok);
  EXPECT_EQ(call({"token", "inspect", file_of_garbage()}), runtime::exit_bad_data);
  EXPECT_NE(complained.find("garbage"), std::string::npos);
  EXPECT_EQ(call({"token", "inspect", file("empty", " \n")}), runtime::exit_bad_data);
  EXPECT_EQ(call({"token", "inspect", file("list", "eyJhbGciOiJub25lIn0.W10.")}),
            runtime::exit_bad_data);
  EXPECT_EQ(call({"token", "inspect", file("long", std::string(20'000, 'x'))}),
            runtime::exit_bad_data);
  EXPECT_EQ(call({"token", "inspect", folder / "none"}), runtime::exit_no_input);
}

TEST_F(cli_token_test, judges_a_token_with_a_jwk_set) {
  const auto token = token_file();
  const auto verify = [&](const std::string& of, std::vector<std::string> more = {}) {
    std::vector<std::string> all{"token", "verify", of, "--jwks", jwks, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return call(all);
  };
  ASSERT_EQ(verify(token), runtime::exit_ok) << complained;
  EXPECT_EQ(bj::parse(written).at("verdict"), "accepted");
  EXPECT_EQ(bj::parse(written).at("claims").at("sub"), "host-7");
  EXPECT_EQ(verify(token, {"--issuer", "https://trust.example", "--audience", "custos-keys"}),
            runtime::exit_ok);
  EXPECT_EQ(verify(token, {"--issuer", "https://other.example"}), runtime::exit_failure);
  EXPECT_EQ(bj::parse(written).at("verdict"), "refused");
  EXPECT_EQ(verify(token, {"--audience", "custos-reporting"}), runtime::exit_failure);
  EXPECT_NE(complained.find("aud"), std::string::npos);
  EXPECT_EQ(call({"token", "verify", token, "--jwks", jwks}), runtime::exit_ok);
  EXPECT_NE(complained.find("issuer was not judged"), std::string::npos);
}

TEST_F(cli_token_test, refuses_tokens_with_the_reason) {
  const auto refused = [&](const std::string& of) {
    EXPECT_EQ(call({"token", "verify", of, "--jwks", jwks, "--json"}), runtime::exit_failure);
    return complained;
  };
  auto text = attestation::make_token(claims, by).value();
  text[text.size() - 10] = text[text.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_NE(refused(file("changed", text)).find("jws-signature"), std::string::npos);
  EXPECT_NE(refused(file("none", "eyJhbGciOiJub25lIn0.e30.")).find("jws-kid"), std::string::npos);
  claims.expires = claims.issued - 1;
  EXPECT_NE(refused(token_file()).find("expired"), std::string::npos);
  claims.expires = claims.issued + 3600;
  by = attestation::make_token_signer(by.key, "ES384", "k2").value();
  EXPECT_NE(refused(token_file()).find("jws-kid"), std::string::npos);
}

TEST_F(cli_token_test, says_which_of_its_files_is_wrong) {
  const auto token = token_file();
  const auto code = [&](const std::string& of, const std::string& with) {
    return call({"token", "verify", of, "--jwks", with});
  };
  EXPECT_EQ(code(file_of_garbage(), jwks), runtime::exit_bad_data);
  EXPECT_EQ(code(folder / "none", jwks), runtime::exit_no_input);
  EXPECT_EQ(code(token, folder / "none"), runtime::exit_no_input);
  for (const std::string set : {"", "{}", "[]", R"({"keys":[]})", R"({"keys":[1]})",
                                R"({"keys":[{"kty":"oct","k":"AA","kid":"k1","alg":"HS256"}]})"}) {
    EXPECT_EQ(code(token, file("set.json", set)), runtime::exit_bad_data) << set;
    EXPECT_NE(complained.find("set.json"), std::string::npos) << complained;
  }
  EXPECT_EQ(call({"token", "verify", token}), runtime::exit_usage);
  EXPECT_NE(complained.find("--jwks"), std::string::npos);
  EXPECT_EQ(call({"token", "verify", token, "--issuer", "https://127.0.0.1:1"}),
            runtime::exit_usage)
      << "no --ca";
  EXPECT_EQ(call({"token", "verify", token, "--issuer", "http://127.0.0.1:1"}),
            runtime::exit_usage);
}

} // namespace custos::cli

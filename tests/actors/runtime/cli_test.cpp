#include "runtime/cli/render.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/cli/trust_files.hpp"
#include "runtime/exit_codes.hpp"

#include <boost/json.hpp>
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

} // namespace custos::cli

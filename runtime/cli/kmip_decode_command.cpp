// custos kmip decode: messages of KMIP looked at by hand and offline.

#include "adapters/crypto/crypto.hpp"
#include "adapters/kmip/describe.hpp"
#include "adapters/kmip/message_file.hpp"
#include "runtime/cli/session.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <iostream>

namespace custos::cli {

namespace bj = boost::json;

namespace {

struct decode_arguments {
  std::string file;
  bool reencode = false;
  bool show_secrets = false;
};

/// All of it, into memory that is wiped: messages may hold keys.
result<crypto::wiped_bytes> read_all(std::istream& in, const std::string& name) {
  crypto::wiped_bytes out;
  crypto::wiped_bytes part(std::size_t{64} << 10);
  while (in.read(reinterpret_cast<char*>(part.data()), static_cast<std::streamsize>(part.size())),
         in.gcount() > 0) {
    out.insert(out.end(), part.begin(), part.begin() + in.gcount());
    if (out.size() > kmip::message_file_bytes_max)
      return field_error(errc::too_large, name,
                         "expected at most " + std::to_string(kmip::message_file_bytes_max) +
                             " bytes");
  }
  return out;
}

result<crypto::wiped_bytes> read_input(const std::string& file) {
  if (file == "-")
    return read_all(std::cin, file);
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return field_error(errc::not_found, file, "the file cannot be read");
  return read_all(in, file);
}

std::string place_of(const kmip::kept_message& m) {
  return m.line != 0 ? "line " + std::to_string(m.line) : "offset " + std::to_string(m.offset);
}

std::string hex_of(const kmip::kept_message& m) {
  kmip::ttlv_writer w;
  kmip::write_item(w, m.item());
  return crypto::hex(w.take());
}

bj::value as_json(const kmip::kept_message& m, const kmip::describe_options& options) {
  bj::object out;
  if (m.line != 0)
    out["line"] = m.line;
  else
    out["offset"] = m.offset;
  if (m.mark != 0)
    out["mark"] = std::string(1, m.mark);
  out["message"] = kmip::describe_json(m.item(), options);
  return out;
}

/// The answer to --output json: an array; to text: one text.
bj::value shown(const std::vector<kmip::kept_message>& messages, const decode_arguments& a,
                bool json) {
  const kmip::describe_options options{a.show_secrets};
  if (json) {
    bj::array out;
    for (const auto& m : messages)
      out.push_back(a.reencode ? bj::value(hex_of(m)) : as_json(m, options));
    return out;
  }
  std::string out;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& m = messages[i];
    if (a.reencode) {
      out += hex_of(m) + "\n";
      continue;
    }
    out += (i == 0 ? "# message " : "\n# message ") + std::to_string(i + 1) + ", " + place_of(m) +
           "\n" + kmip::describe(m.item(), options);
  }
  out.pop_back(); // the last line ends where it is shown
  return bj::value(out);
}

result<void> decode(session& s, const decode_arguments& a) {
  CUSTOS_TRY(const auto file, read_input(a.file));
  auto messages = kmip::read_message_file(file);
  if (!messages)
    return field_error(messages.failure().code, a.file, messages.failure().message);
  s.show(shown(*messages, a, s.options().output == "json"));
  return {};
}

} // namespace

void add_kmip_decode_command(command_set& commands) {
  auto* const group = commands.group("kmip", "Key servers and KMIP, by hand");
  auto a = std::make_shared<decode_arguments>();
  auto* const c = commands.command(group, "decode", "Shows messages of KMIP with their names",
                                   [a](session& s) { return decode(s, *a); });
  c->add_option("file", a->file,
                "Binary messages, or hex: one a line, perhaps with > or < in front; - is standard "
                "input")
      ->required();
  c->add_flag("--reencode", a->reencode,
              "Write what was read again, and show it in hex, one message a line; all of it, keys "
              "too");
  c->add_flag("--show-secrets", a->show_secrets,
              "Show keys, passwords and plaintexts, of which else only the size is shown");
  c->footer("exit codes: 0 shown, 65 malformed (the error says at which offset), 66 no such file\n"
            "examples:\n"
            "  custos kmip decode session.ttlv\n"
            "  custos kmip decode - --json < response.bin\n"
            "  custos kmip decode session.ttlv --reencode\n");
}

} // namespace custos::cli

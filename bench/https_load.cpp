// https_load: how many answers a second an HTTPS server gives over kept connections. Closed loop:
// each connection, a thread of its own, sends the next request when the answer to the last has
// come. For ratios between two servers under the same client in one run (bench/keys_bench.py).

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using clock_type = std::chrono::steady_clock;

struct arguments {
  std::string host = "127.0.0.1";
  std::string port;
  std::string target;
  std::string method = "GET";
  std::string body_file;
  std::vector<std::string> headers; ///< "Name: value"
  std::string ca;
  std::string certificate;
  std::string key;
  unsigned connections = 16;
  double seconds = 5;
  double warm_up_seconds = 1;
};

struct outcome {
  std::vector<double> latencies_ms; ///< of those answered within the measured time
  std::map<unsigned, std::uint64_t> statuses;
  std::size_t answer_bytes = 0; ///< of the last body
  std::string failed;           ///< why the connection ended early
};

beast_http::request<beast_http::string_body> request_of(const arguments& a) {
  beast_http::request<beast_http::string_body> out(beast_http::string_to_verb(a.method), a.target,
                                                   11);
  out.set(beast_http::field::host, a.host);
  for (const auto& line : a.headers) {
    const auto colon = line.find(": ");
    if (colon == std::string::npos)
      throw std::invalid_argument("--header: expected \"Name: value\"");
    out.set(line.substr(0, colon), line.substr(colon + 2));
  }
  if (!a.body_file.empty()) {
    std::ifstream file(a.body_file, std::ios::binary);
    if (!file)
      throw std::invalid_argument("--body-file: cannot be read");
    out.body().assign(std::istreambuf_iterator<char>(file), {});
    out.set(beast_http::field::content_type, "application/json");
  }
  out.prepare_payload();
  return out;
}

void run(const arguments& a, asio::ssl::context& tls, clock_type::time_point from,
         clock_type::time_point until, outcome& out) {
  asio::io_context io;
  asio::ssl::stream<asio::ip::tcp::socket> stream(io, tls);
  asio::connect(stream.next_layer(), asio::ip::tcp::resolver(io).resolve(a.host, a.port));
  stream.next_layer().set_option(asio::ip::tcp::no_delay(true));
  stream.handshake(asio::ssl::stream_base::client);
  const auto request = request_of(a);
  boost::beast::flat_buffer buffer;
  while (clock_type::now() < until) {
    const auto sent = clock_type::now();
    beast_http::write(stream, request);
    beast_http::response<beast_http::string_body> answer;
    beast_http::read(stream, buffer, answer);
    const auto came = clock_type::now();
    if (came < from || came > until)
      continue;
    ++out.statuses[answer.result_int()];
    out.answer_bytes = answer.body().size();
    out.latencies_ms.push_back(std::chrono::duration<double, std::milli>(came - sent).count());
  }
}

double percentile(const std::vector<double>& sorted, double p) {
  const auto at = static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1));
  return sorted.empty() ? 0 : sorted[at];
}

int load(const arguments& a) {
  asio::ssl::context tls(asio::ssl::context::tlsv13_client);
  tls.load_verify_file(a.ca);
  tls.set_verify_mode(asio::ssl::verify_peer);
  if (!a.certificate.empty()) {
    tls.use_certificate_chain_file(a.certificate);
    tls.use_private_key_file(a.key, asio::ssl::context::pem);
  }
  const auto from = clock_type::now() + std::chrono::duration_cast<clock_type::duration>(
                                            std::chrono::duration<double>(a.warm_up_seconds));
  const auto until = from + std::chrono::duration_cast<clock_type::duration>(
                                std::chrono::duration<double>(a.seconds));
  std::vector<outcome> outcomes(a.connections);
  std::vector<std::thread> threads;
  for (auto& out : outcomes)
    threads.emplace_back([&] {
      try {
        run(a, tls, from, until, out);
      } catch (const std::exception& e) {
        out.failed = e.what();
      }
    });
  for (auto& thread : threads)
    thread.join();
  outcome all;
  for (const auto& one : outcomes) {
    all.latencies_ms.insert(all.latencies_ms.end(), one.latencies_ms.begin(),
                            one.latencies_ms.end());
    for (const auto& [status, count] : one.statuses)
      all.statuses[status] += count;
    all.answer_bytes = std::max(all.answer_bytes, one.answer_bytes);
    if (!one.failed.empty())
      all.failed = one.failed;
  }
  std::sort(all.latencies_ms.begin(), all.latencies_ms.end());
  boost::json::object statuses;
  for (const auto& [status, count] : all.statuses)
    statuses[std::to_string(status)] = count;
  std::cout << boost::json::serialize(boost::json::object{
                   {"per_second", static_cast<double>(all.latencies_ms.size()) / a.seconds},
                   {"p50_ms", percentile(all.latencies_ms, 0.5)},
                   {"p99_ms", percentile(all.latencies_ms, 0.99)},
                   {"statuses", statuses},
                   {"answer_bytes", all.answer_bytes},
                   {"failed", all.failed}})
            << '\n';
  return all.failed.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) try {
  arguments a;
  CLI::App app("Answers a second of an HTTPS server over kept connections, as JSON");
  app.add_option("--port", a.port)->required();
  app.add_option("--target", a.target, "Path")->required();
  app.add_option("--method", a.method);
  app.add_option("--body-file", a.body_file);
  app.add_option("--header", a.headers, "\"Name: value\"");
  app.add_option("--ca", a.ca, "PEM file with the server's CA")->required();
  app.add_option("--certificate", a.certificate, "PEM file, client certificate");
  app.add_option("--key", a.key, "PEM file, its key");
  app.add_option("--connections", a.connections)->check(CLI::Range(1U, 512U));
  app.add_option("--seconds", a.seconds)->check(CLI::Range(0.1, 600.0));
  CLI11_PARSE(app, argc, argv);
  return load(a);
} catch (const std::exception& e) {
  std::fputs(e.what(), stderr);
  return 1;
} catch (...) {
  return 1;
}

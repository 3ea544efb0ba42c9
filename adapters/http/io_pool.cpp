#include "adapters/http/http.hpp"

#include <boost/asio.hpp>
#include <csignal>
#include <thread>

namespace custos::http {

namespace asio = boost::asio;

struct io_pool::impl {
  explicit impl(unsigned width) : context(static_cast<int>(width)), work(context.get_executor()) {}

  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::vector<std::thread> threads;
};

io_pool::io_pool(unsigned threads) : impl_(std::make_unique<impl>(threads)) {
  // OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that left must not end the process.
  static const auto previous = std::signal(SIGPIPE, SIG_IGN);
  static_cast<void>(previous);
  for (unsigned i = 0; i < threads; ++i)
    impl_->threads.emplace_back([this] { impl_->context.run(); });
}

io_pool::~io_pool() {
  stop();
}

asio::io_context& io_pool::context() {
  return impl_->context;
}

void io_pool::post(std::function<void()> f) {
  asio::post(impl_->context, std::move(f));
}

std::shared_ptr<void> io_pool::after(std::chrono::milliseconds delay, std::function<void()> f) {
  auto timer = std::make_shared<asio::steady_timer>(impl_->context, delay);
  // The timer is kept alive by its handle only: dropping the handle cancels.
  timer->async_wait([f = std::move(f)](const boost::system::error_code& failed) {
    if (!failed)
      f();
  });
  return timer;
}

void io_pool::stop() {
  impl_->work.reset();
  impl_->context.stop();
  for (auto& t : impl_->threads)
    if (t.joinable())
      t.join();
  impl_->threads.clear();
}

} // namespace custos::http

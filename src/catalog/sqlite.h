#pragma once

// The C API of SQLite with owners and Results, as far as index.cc needs it.

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <sqlite3.h>

#include "base/result.h"

namespace obit {

struct CloseDatabase {
  std::shared_ptr<const void> folder;  ///< what the database's files are opened in (IndexFolder)
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using DatabaseOwner = std::unique_ptr<sqlite3, CloseDatabase>;

/// The error of a call on `database` that returned `code`. EBADMSG: the file is damaged, takes more steps
/// than LimitSteps allows, or its tables are not those that the SQL names (which is constant, so SQLITE_ERROR
/// says nothing else).
inline std::unexpected<Error> SqliteFailure(sqlite3* database, int code, std::string_view doing) {
  const int cause = sqlite3_system_errno(database);
  const int number = [&] {
    switch (code & 0xff) {
      case SQLITE_ERROR:
      case SQLITE_SCHEMA:
      case SQLITE_MISMATCH:
      case SQLITE_CONSTRAINT:
      case SQLITE_CORRUPT:
      case SQLITE_TOOBIG:
      case SQLITE_NOTADB:
      case SQLITE_INTERRUPT:  // LimitSteps: nothing else interrupts
        return EBADMSG;
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return EBUSY;
      case SQLITE_READONLY:
        return EROFS;
      case SQLITE_FULL:
        return ENOSPC;
      case SQLITE_NOMEM:
        return ENOMEM;
      case SQLITE_PERM:
      case SQLITE_CANTOPEN:
        return cause != 0 ? cause : EACCES;
      default:
        return cause != 0 ? cause : EIO;
    }
  }();
  return Refuse(number, "{}: {}", doing, sqlite3_errmsg(database));
}

/// How many steps (instructions of SQLite's virtual machine) one run of a statement may take. A list takes 22
/// a row, so this is enough for the four million rows that a list believes; an index of 100,000 crashes never
/// comes near 3 million. A processor takes some seconds for it.
inline constexpr int kQuerySteps = 100'000'000;
/// The same for a statement of one row: to find, add or remove one takes 100.
inline constexpr int kRowSteps = 10'000;

/// From now on a statement of `database` fails with EBADMSG once a run of it has taken `steps`. SQLite does
/// not notice that a file names one page as the child of many others: a few pages can claim more rows than
/// anyone reads in a lifetime.
inline void LimitSteps(sqlite3* database, int steps) {
  // SQLite counts for each statement by itself, and calls this each time that another `steps` have passed.
  sqlite3_progress_handler(database, steps, [](void*) { return 1; }, nullptr);
}

/// A value of the type BLOB: text of a crashed process, which need not be UTF-8.
struct Blob {
  std::string_view bytes;
};

/// A prepared statement, to be run any number of times. Does not outlive its database.
class Statement {
 public:
  /// A run takes at most `steps`.
  [[nodiscard]] static Result<Statement> Prepare(sqlite3* database, std::string_view sql,
                                                 int steps = kQuerySteps) {
    sqlite3_stmt* prepared = nullptr;
    const int code =
        sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &prepared, nullptr);
    if (code != SQLITE_OK) return SqliteFailure(database, code, "prepare a statement");
    return Statement(prepared, steps);
  }

  /// Begins anew with `values` for its parameters. What text and blobs refer to must live until the last
  /// Next().
  template <class... V>
  [[nodiscard]] Result<void> Start(const V&... values) {
    sqlite3_reset(statement_.get());  // tells of the last run's failure again
    sqlite3_stmt_status(statement_.get(), SQLITE_STMTSTATUS_VM_STEP, 1);  // LimitSteps counts from here
    int at = 0, code = SQLITE_OK;
    ((code = code == SQLITE_OK ? Bind(++at, values) : code), ...);
    if (code != SQLITE_OK) return SqliteFailure(sqlite3_db_handle(statement_.get()), code, "bind a value");
    return {};
  }

  /// Goes to the next row; false if there is none.
  [[nodiscard]] Result<bool> Next() {
    LimitSteps(sqlite3_db_handle(statement_.get()), steps_);
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return SqliteFailure(sqlite3_db_handle(statement_.get()), code, "run a statement");
  }

  /// Start and Next of a statement that gives no rows; ends the read or write that it began.
  template <class... V>
  [[nodiscard]] Result<void> Run(const V&... values) {
    OBIT_TRY(Start(values...));
    auto done = Next();
    sqlite3_reset(statement_.get());
    if (!done) return std::unexpected(std::move(done).error());
    return {};
  }

  // Values of the current row. Views live until the next call.
  [[nodiscard]] std::int64_t Integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
  }
  [[nodiscard]] bool IsNull(int column) const {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
  }
  [[nodiscard]] std::string_view Bytes(int column) const {
    const void* bytes =
        sqlite3_column_blob(statement_.get(), column);  // before the size, which it may change
    return {static_cast<const char*>(bytes),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Statement(sqlite3_stmt* statement, int steps) : statement_(statement), steps_(steps) {}

  int Bind(int at, std::integral auto value) {
    return sqlite3_bind_int64(statement_.get(), at, static_cast<sqlite3_int64>(value));
  }
  int Bind(int at, std::string_view text) {
    return sqlite3_bind_text64(statement_.get(), at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  int Bind(int at, Blob blob) {
    // An empty view may have no address, which would bind NULL.
    const char* bytes = blob.bytes.empty() ? "" : blob.bytes.data();
    return sqlite3_bind_blob64(statement_.get(), at, bytes, blob.bytes.size(), SQLITE_STATIC);
  }
  template <class T>
  int Bind(int at, const std::optional<T>& value) {
    return value ? Bind(at, *value) : sqlite3_bind_null(statement_.get(), at);
  }

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int steps_;
};

/// Runs any number of statements that have no parameters.
[[nodiscard]] inline Result<void> ExecuteAll(sqlite3* database, const char* sql) {
  LimitSteps(database, kQuerySteps);
  const int code = sqlite3_exec(database, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return SqliteFailure(database, code, "run a statement");
  return {};
}

/// Runs one statement of at most one row once.
template <class... V>
[[nodiscard]] Result<void> Execute(sqlite3* database, std::string_view sql, const V&... values) {
  auto statement = OBIT_TRY(Statement::Prepare(database, sql, kRowSteps));
  return statement.Run(values...);
}

/// A write transaction: rolled back unless committed. The lock is taken at once, so that it never has to be
/// upgraded.
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> Begin(sqlite3* database) {
    OBIT_TRY(Execute(database, "BEGIN IMMEDIATE"));
    return Transaction(database);
  }
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction() {
    if (database_ != nullptr) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  [[nodiscard]] Result<void> Commit() {
    OBIT_TRY(Execute(database_, "COMMIT"));
    database_ = nullptr;
    return {};
  }

 private:
  explicit Transaction(sqlite3* database) : database_(database) {}
  sqlite3* database_;
};

}  // namespace obit

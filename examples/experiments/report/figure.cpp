#include "experiments/report/figure.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace report {
namespace {

constexpr const char* picture_endings[] = {".svg", ".png", ".pdf"};

constexpr int not_found = 127;  // what a shell returns for a command that it does not find

/// The text as a gnuplot string.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '\n') {
      result += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

/// The text as one word of a shell's command.
std::string shell_word(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string script_of(const Figure& figure) {
  return "# To draw it again: gnuplot " + figure.name + ".gp\n" +                                               //
         "set datafile separator ','\n" +                                                                       //
         "set title " + quoted(figure.title) + " noenhanced\n" +                                                //
         figure.settings +                                                                                      //
         "set terminal svg size 640,480 font 'Helvetica,14' background 'white'\n" +                             //
         "set output '" + figure.name + ".svg'\n" +                                                             //
         "plot " + figure.plot + "\n" +                                                                         //
         "if (strstrt(GPVAL_TERMINALS, 'pngcairo') > 0) { set terminal pngcairo size 960,720 font ',15' }\n" +  //
         "else { set terminal png truecolor size 960,720 }\n" +                                                 //
         "set output '" + figure.name + ".png'\n" +                                                             //
         "replot\n" +                                                                                           //
         "if (strstrt(GPVAL_TERMINALS, 'pdfcairo') > 0) {\n" +
         "  set terminal pdfcairo size 6.4in,4.8in font 'Helvetica,12'\n" + "  set output '" + figure.name + ".pdf'\n" +
         "  replot\n" + "}\n" + "unset output\n";
}

/// Runs gnuplot in the folder and returns its exit code.
int gnuplot(const std::filesystem::path& folder, const std::string& script) {
  const std::string where = folder.string();  // between fork and exec nothing may allocate
  const pid_t child = fork();
  if (child == 0) {
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    if (chdir(where.c_str()) == 0) execlp("gnuplot", "gnuplot", script.c_str(), static_cast<char*>(nullptr));
    _exit(not_found);
  }
  int status = 0;
  pid_t ended = -1;
  do {
    ended = child < 0 ? -1 : waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

Drawing draw(const std::filesystem::path& folder, const std::vector<Figure>& figures) {
  for (const Figure& figure : figures) {
    const auto path = folder / (figure.name + ".gp");
    std::error_code ignored;  // there need not be any
    std::filesystem::remove(path, ignored);
    for (const char* ending : picture_endings) std::filesystem::remove(folder / (figure.name + ending), ignored);
    if (figure.plot.empty()) continue;
    std::ofstream file(path);
    file << script_of(figure) << std::flush;
    if (!file) throw std::runtime_error("cannot write " + path.string() + ": " + std::strerror(errno));
  }

  Drawing drawing;
  for (const Figure& figure : figures) {
    if (figure.plot.empty()) continue;
    const std::string script = figure.name + ".gp";
    const int code = gnuplot(folder, script);
    if (code == not_found) {
      drawing.problem =
          "gnuplot was not found, so there are no pictures. The package is gnuplot-nox\n"
          "(Debian, Ubuntu) or gnuplot (Fedora, Homebrew). Then: cd " +
          shell_word(folder.string()) + " && gnuplot *.gp";
      return drawing;
    }
    bool has_failed = code != 0;
    for (const char* ending : picture_endings) {
      const auto picture = folder / (figure.name + ending);
      if (code != 0 || !std::filesystem::exists(picture)) continue;
      if (std::filesystem::file_size(picture) > 0) {
        drawing.files.push_back(picture.string());
      } else {
        has_failed = true;  // gnuplot does not notice that a disk is full
      }
    }
    if (has_failed)
      drawing.problem = "gnuplot failed; to see why: cd " + shell_word(folder.string()) + " && gnuplot " + script;
  }
  return drawing;
}

}  // namespace report

"""obit config: what is in force, and who said so."""

import json

import support
from harness import case


class Config(support.CliCase):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "obit.toml"
        self.file.write_text('[capture]\nslots = 8\n\n[analysis]\ndebuginfod_urls = "http://a \\"b\\""\n')
        self.drop_ins = self.folder / "obit.toml.d"
        self.drop_ins.mkdir()
        (self.drop_ins / "10-site.toml").write_text("[capture]\ndirect = false\n")

    def config(self, *arguments, **options):
        return self.run_obit("config", "--config", self.file, *arguments, store=False, **options)

    def test_names_file_and_line_of_each_key(self):
        out, _ = self.config()
        self.assertRegex(out, rf"(?m)^slots = 8 +# {self.file}:2$")
        self.assertRegex(out, rf"(?m)^direct = false +# {self.drop_ins}/10-site.toml:2$")
        self.assertRegex(out, r"(?m)^timeout = 600 +# default$")

    def test_is_itself_a_configuration(self):
        out, _ = self.config()
        (self.drop_ins / "10-site.toml").unlink()
        self.file.write_text(out)
        values = [line.partition("#")[0].strip() for line in out.splitlines()]
        self.assertEqual([line.partition("#")[0].strip() for line in self.config()[0].splitlines()], values)

    def test_json_has_values_of_their_kind(self):
        settings = {one["key"]: one for one in json.loads(self.config("--json")[0])}
        self.assertEqual(settings["capture.slots"], {"key": "capture.slots", "value": 8, "from": f"{self.file}:2"})
        self.assertIs(settings["capture.direct"]["value"], False)
        self.assertEqual(settings["analysis.debuginfod_urls"]["value"], 'http://a "b"')
        self.assertNotIn("from", settings["capture.timeout"])

    def test_a_wrong_key_is_named_with_its_file(self):
        (self.drop_ins / "20-wrong.toml").write_text("[capture]\n\nslot = 1\n")
        _, err = self.config(code=1)
        self.assertIn(f'{self.drop_ins}/20-wrong.toml:3: unknown key "slot" in [capture]; did you mean "slots"?', err)


if __name__ == "__main__":
    case.main()

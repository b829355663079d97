"""Packaging: ranges here, exact pins in requirements.txt, the same with hashes in requirements.lock."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithSamples(build_py):
    """Put folders of the checkout into the wheel, below samples/, where `samples.files` finds them."""

    def run(self) -> None:
        """Build, then copy the folders."""
        super().run()
        if not self.editable_mode:
            for folder in ("configs", "deploy/prometheus", "deploy/grafana", "docs"):
                self.copy_tree(folder, str(Path(self.build_lib, "samples", folder)))


setup(
    name="beam-aep",
    version="0.1.0",  # here and nowhere else
    description="Apache Beam pipelines that carry events from Kafka into Adobe Experience Platform",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    classifiers=[f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13)],  # those that are tested
    packages=find_packages(include=["aep*", "emulator*", "kinesis*", "pipelines*", "samples*", "transforms*"]),
    package_data={
        "": ["py.typed"],
        "emulator.state": ["standard_xdm.json"],
        "emulator.page": ["page.css", "page.js"],
        "pipelines.runtime.report_page": ["page.css", "page.js"],
        "samples": ["project/**/*"],
    },
    cmdclass={"build_py": BuildWithSamples},
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "confluent-kafka[schemaregistry]>=2.16,<3",
        "fastavro>=1.12,<2",
        "google-auth>=2.30,<3",
        "jsonpatch>=1.46,<2",
        "jsonschema-rs>=0.60.3,<0.61",
        "orjson>=3.10,<4",
        "prometheus_client>=0.22,<1",
        "pydantic>=2.10,<3",
        "PyYAML>=6,<7",
        "requests>=2.32,<3",
        "rich>=13,<16",
        "typer>=0.29,<1",
        "zstandard>=0.23,<1",
    ],
    extras_require={
        "gcp": ["apache-beam[gcp]>=2.77,<2.78"],
        "kinesis": ["boto3>=1.44,<2", "pybase64>=1.4,<2"],
        "msk": ["aws-msk-iam-sasl-signer-python>=1.0.1,<2"],
        "emulator": ["httptools>=0.6,<1", "starlette>=1,<2", "uvicorn>=0.40,<1"],
    },
    entry_points={"console_scripts": ["beam-aep=pipelines.cli.__main__:start"]},
)

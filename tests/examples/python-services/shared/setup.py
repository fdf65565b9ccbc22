from setuptools import setup

setup(name="shared", install_requires=["requests"])

from tests.fuzz.driver import drive

__all__ = ["drive"]

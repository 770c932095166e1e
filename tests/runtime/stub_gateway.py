from runtime.settings import Settings
from tests.runtime.stub_service import main

if __name__ == "__main__":
    main(Settings.load().gateway_port)

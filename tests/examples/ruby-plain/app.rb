require 'socket'

server = TCPServer.new('0.0.0.0', 7070)
loop { server.accept.close }

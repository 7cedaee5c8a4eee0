"""Sending: `deliver` claims and sends, `held` is what one sender holds, `allowed` is what of it may still be
sent, `outcomes` records what became of it, `pace` is how fast, `feedback` is what gateways and receivers
say, `clock` tells tills the shop's moment, `asked` is what the shop says of who has refused since.
"""
